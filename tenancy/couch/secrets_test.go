package couch_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kivik/kivik/v4/couchdb/chttp"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

const password = "p4ssw0rd/with?signs"

// TestCredentials: basic auth with what the credentials are at each request, and
// no cookie, whatever the server sets.
func TestCredentials(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, word, ok := r.BasicAuth()
		mu.Lock()
		seen = append(seen, fmt.Sprint(user, " ", word, " ", ok, " ", r.Header.Get("Cookie")))
		mu.Unlock()
		w.Header().Set("Set-Cookie", "AuthSession=abc; Path=/")
		doc(w, r)
	})
	user, word := "one", password
	c := open(t, couch.Config{Credentials: func() (string, string) { return user, word }}, node.URL)
	get := func() {
		t.Helper()
		if _, err := c.Get(t.Context(), "db", "a"); err != nil {
			t.Fatal(err)
		}
	}
	get()
	get()
	user, word = "two", "rotated"
	get()
	user, word = "", ""
	get()
	want := []string{"one " + password + " true ", "one " + password + " true ", "two rotated true ", "  false "}
	for i := range want {
		if seen[i] != want[i] {
			t.Errorf("request %d: %q, want %q", i, seen[i], want[i])
		}
	}
}

// TestNoRedirect: CouchDB sends nobody elsewhere, and credentials go nowhere else.
// An answer that does is an error of every call, not a success without a body.
func TestNoRedirect(t *testing.T) {
	elsewhere := serve(t, whole)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		node := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
		})
		c := open(t, couch.Config{Credentials: func() (string, string) { return "admin", password }}, node.URL)
		for _, calls := range []map[string]func(context.Context) error{reads(c), writes(c)} {
			for name, call := range calls {
				if err := call(t.Context()); err == nil {
					t.Errorf("%s with a %d succeeded", name, status)
				} else {
					without(t, err)
				}
			}
		}
	}
	elsewhere.saw(t, 0, "redirects")
}

// without checks that an error says nothing of the password, however it is written.
func without(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	raw, _ := json.Marshal(err)
	texts := []string{err.Error(), fmt.Sprintf("%v %+v %#v %s %q", err, err, err, err, err), string(raw)}
	for e := err; e != nil; {
		texts = append(texts, fmt.Sprintf("%+v %#v", e, e))
		if held, ok := e.(interface{ Unwrap() error }); ok {
			e = held.Unwrap()
		} else {
			e = nil
		}
	}
	// What a logger that walks through fields would find.
	var answered *chttp.HTTPError
	if errors.As(err, &answered) && answered.Response.Request != nil {
		texts = append(texts, fmt.Sprint(answered.Response.Request.Header))
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("admin:" + password))
	for _, text := range texts {
		for _, secret := range []string{password, "p4ssw0rd", encoded} {
			if strings.Contains(text, secret) {
				t.Errorf("the password is in %s", text)
			}
		}
	}
}

// TestErrorsHideThePassword, for each way in which a call can fail.
func TestErrorsHideThePassword(t *testing.T) {
	dark, _ := hole(t)
	for name, url := range map[string]string{
		"refused":    refused(t),
		"broken":     serve(t, breaks).URL,
		"black hole": dark,
		"not found":  serve(t, answer(http.StatusNotFound, `{"error":"not_found","reason":"missing"}`)).URL,
		"denied":     serve(t, answer(http.StatusUnauthorized, `{"error":"unauthorized","reason":"Name or password is incorrect."}`)).URL,
		"failing":    serve(t, answer(http.StatusInternalServerError, `{"error":"x","reason":"y"}`)).URL,
		"no JSON":    serve(t, answer(http.StatusOK, `<html>`)).URL,
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, couch.Config{
				CallTimeout: 50 * time.Millisecond, FeedGrace: 50 * time.Millisecond,
				Credentials: func() (string, string) { return "admin", password },
			}, url)
			if strings.Contains(c.Name(), "@") {
				t.Error(c.Name())
			}
			_, err := c.Get(t.Context(), "db", "a")
			without(t, err)
			_, err = c.Put(t.Context(), "db", "a", json.RawMessage(`{"n":1}`))
			without(t, err)
			_, err = c.Bulk(t.Context(), "db", []any{json.RawMessage(`{"_id":"a"}`)})
			without(t, err)
			err = c.Walk(t.Context(), "db", couch.Range{}, nil)
			without(t, err)
			_, _, err = c.Changes(t.Context(), "db", couch.Feed{Wait: 10 * time.Millisecond}, nil)
			without(t, err)
		})
	}
}

// TestURLs: what is refused, and that a refusal never repeats a secret.
func TestURLs(t *testing.T) {
	for _, urls := range [][]string{
		nil,
		{""},
		{"localhost:5984"},
		{"ftp://db:5984"},
		{"http://"},
		{"http://admin:" + password + "@db:5984"},
		{"http://admin:p4ssw0rd@db:5984"},
		{"https://ok:5984", "https://admin:p4ssw0rd@db:5984"},
		{"http://admin:p4ssw0rd%zz@db:5984"},
		{"http://admin:p4ssw0rd@db:port"},
		{"http://db:5984/?password=p4ssw0rd"},
		{"http://db:5984/#p4ssw0rd"},
		{"http://a:5984/x", "http://b:5984/y"},
	} {
		c, err := couch.Open(couch.Config{URLs: urls})
		if err == nil {
			_ = c.Close()
			t.Errorf("%q was taken", urls)
			continue
		}
		without(t, err)
		if len(urls) == 1 && strings.Contains(urls[0], "@db:5984") && !strings.Contains(urls[0], "%zz") && !strings.Contains(urls[0], "?") &&
			!strings.Contains(err.Error(), "password {env.") {
			t.Errorf("no word of what to write instead: %v", err)
		}
	}
	for _, urls := range [][]string{
		{"http://db:5984"}, {"https://db:6984/"}, {"http://[::1]:5984", "http://127.0.0.1:5984/"}, {"https://a/couch", "https://b/couch/"},
	} {
		c, err := couch.Open(couch.Config{URLs: urls})
		if err != nil {
			t.Errorf("%q: %v", urls, err)
			continue
		}
		_ = c.Close()
	}
}

// TestKey: one name for one cluster, and never a secret in it.
func TestKey(t *testing.T) {
	for _, test := range []struct {
		urls []string
		want string
	}{
		{[]string{"http://b:5984/", "http://a:5984"}, "http://a:5984 http://b:5984"},
		{[]string{"http://a:5984", "http://a:5984/"}, "http://a:5984"},
		{[]string{"http://admin:p4ssw0rd@a:5984"}, "http://a:5984"},
		{[]string{"http://admin:p4ss/w@0rd@a:5984/x"}, "http://a:5984/x"},
		{[]string{"admin:p4ssw0rd@a:5984"}, "a:5984"},
	} {
		if got := couch.Key(test.urls); got != test.want {
			t.Errorf("%q: %q, want %q", test.urls, got, test.want)
		}
	}
}
