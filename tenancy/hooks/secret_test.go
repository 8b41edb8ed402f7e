// Secrets: which are taken, and that none is told.

package hooks_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/hooks"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	other := []byte("another secret of enough bytes")
	for name, c := range map[string]struct {
		secret string
		keys   [][]byte // that verify; none for a secret that is not taken
	}{
		"base64":                  {secret, [][]byte{key}},
		"base64 without padding":  {strings.TrimRight(secret, "="), [][]byte{key}},
		"plain text":              {"another-secret-of-enough-bytes", [][]byte{[]byte("another-secret-of-enough-bytes")}},
		"two, in a rotation":      {secret + " whsec_" + base64.StdEncoding.EncodeToString(other) + "\n", [][]byte{key, other}},
		"none":                    {"", nil},
		"spaces":                  {" \n", nil},
		"too short":               {"hunter2", nil},
		"too short in base64":     {"whsec_" + base64.StdEncoding.EncodeToString(key[:23]), nil},
		"too long":                {strings.Repeat("x", 65), nil},
		"no base64":               {"whsec_*" + secret[7:], nil},
		"one good, one too short": {secret + " hunter2", nil},
		"five":                    {strings.Repeat(secret+" ", 5), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, status(http.StatusOK))
			h, _ := telling(t, r.URL, func(o *hooks.Options) { o.Secret = func() string { return c.secret } })
			err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy))
			if c.keys == nil {
				r.count(t, 0)
				if !errors.Is(err, tenancy.ErrUnavailable) {
					t.Fatalf("%v", err)
				}
				for _, s := range strings.Fields(c.secret) {
					if strings.Contains(err.Error(), s) {
						t.Errorf("the error repeats the secret: %v", err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range c.keys {
				if err := verify(r.got()[0], key); err != nil {
					t.Error(err)
				}
			}
			if err := verify(r.got()[0], []byte("of somebody else, of enough bytes")); err == nil {
				t.Error("another key verifies as well")
			}
		})
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	r := receive(t, status(http.StatusOK))
	now := secret
	h, _ := telling(t, r.URL, func(o *hooks.Options) { o.Secret = func() string { return now } })
	for range 2 {
		if err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy)); err != nil {
			t.Fatal(err)
		}
		now = "another-secret-of-enough-bytes"
	}
	for i, key := range [][]byte{key, []byte(now)} {
		if err := verify(r.got()[i], key); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
	}
}

// TestNothingIsTold has a receiver repeat all that it knows.
func TestNothingIsTold(t *testing.T) {
	t.Parallel()
	e := event(lifecycle.SendLink)
	words := fmt.Sprintf("cannot mail %s nor %s to alice, signed with %s or %s", e.Link, strings.ReplaceAll(e.Link, "=", "%3D"), secret, secret[6:])
	quoted, err := json.Marshal(map[string]string{"error": words})
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{http.StatusForbidden, http.StatusInternalServerError} {
		for contentType, body := range map[string]string{
			"text/plain": words, "application/json": string(quoted),
			// The end of the link stands where the text is cut.
			"text/plain; x=cut":     strings.Repeat("x", 150) + e.Link,
			"text/plain; x=control": strings.ReplaceAll(words, "7ed", "7\x1bed"),
		} {
			core, logs := observer.New(zapcore.DebugLevel)
			r := receive(t, text(code, contentType, body))
			h, _ := telling(t, r.URL+"/?key="+token, func(o *hooks.Options) { o.Logger = zap.New(core) })
			err := h.Deliver(t.Context(), e)
			if err == nil {
				t.Fatal("no error")
			}
			told := err.Error()
			for _, entry := range logs.All() {
				told += fmt.Sprintf("\n%s %v", entry.Message, entry.ContextMap())
			}
			for _, s := range []string{secret[6:20], token[:16]} {
				if strings.Contains(told, s) {
					t.Errorf("%d %s: %q is in %s", code, contentType, s, told)
				}
			}
			if code == http.StatusInternalServerError && logs.Len() != hooks.DefaultTries-1 {
				t.Errorf("%d lines in the log", logs.Len())
			}
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ kind, url, want string }{
		"an unknown kind":       {"after_lunch", "https://hooks.example", `no event is of the kind "after_lunch"`},
		"credentials":           {lifecycle.AfterAdd, "https://me:hunter2@hooks.example", "after_add: the URL holds a user name or password"},
		"credentials, unparsed": {lifecycle.AfterAdd, "https://me:hunter2%zz@hooks.example", "after_add: the URL cannot be read"},
		"another scheme":        {lifecycle.AfterAdd, "ftp://hooks.example", "is not of the form https://host/path"},
		"no host":               {lifecycle.AfterAdd, "https:///path", "is not of the form https://host/path"},
		"only a port":           {lifecycle.AfterAdd, "https://:443/path", "is not of the form https://host/path"},
		"a fragment":            {lifecycle.AfterAdd, "https://hooks.example/#here", "is not of the form https://host/path"},
		"no URL":                {lifecycle.AfterAdd, "hooks.example", "is not of the form https://host/path"},
		"empty":                 {lifecycle.AfterAdd, "", "is not of the form https://host/path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := hooks.New(hooks.Options{URLs: map[string]string{c.kind: c.url}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}
