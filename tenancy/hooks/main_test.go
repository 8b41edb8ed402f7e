// What the tests share: a receiver, and a clock that only pauses move.

package hooks_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/hooks"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// key and secret are one secret, in bytes and as an operator writes it.
var (
	key    = []byte("0123456789abcdefghijklmnopqrstuv")
	secret = "whsec_" + base64.StdEncoding.EncodeToString(key)
)

// began is the clock's first time.
var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const token = "7ed9b3cf8d4e4c9aa1f2d7c0e5b68a11"

func event(kind string) lifecycle.Event {
	return lifecycle.Event{
		ID: "hook-1772366400000000000-0a0b0c0d", Kind: kind, Time: began.Add(-time.Minute), Domain: "alice.example.com",
		Instance: "5f2b", Prefix: "cozy5f2b", Locale: "fr", Email: "alice@example.com",
		Link: "https://alice.example.com/?registerToken=" + token,
	}
}

// clock is a time that pauses move at once.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	pauses []time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.pauses = append(c.pauses, d)
	return ctx.Err()
}

// receiver answers with one answer after the other, and the last one for ever.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests []request
}

// request is what has come in.
type request struct {
	method, path string
	header       http.Header
	body         []byte
}

func receive(t *testing.T, answers ...http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{t: t, answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (s *receiver) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	s.requests = append(s.requests, request{r.Method, r.URL.RequestURI(), r.Header, body})
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	s.mu.Unlock()
	answer(w, r)
}

func (s *receiver) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *receiver) count(t *testing.T, want int) {
	t.Helper()
	if got := len(s.got()); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

// status answers with a status, and headers as name, value, name, value.
func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// text answers with a status and a body.
func text(code int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{contentType}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// telling makes hooks for one kind of event, on a clock of their own, without jitter.
func telling(t *testing.T, url string, change ...func(*hooks.Options)) (*hooks.Hooks, *clock) {
	t.Helper()
	c := &clock{now: began}
	o := hooks.Options{
		URLs:   map[string]string{lifecycle.BeforeDestroy: url, lifecycle.SendLink: url},
		Secret: func() string { return secret },
		Now:    c.Now, Sleep: c.Sleep, Jitter: func() float64 { return 0 },
	}
	for _, f := range change {
		f(&o)
	}
	h, err := hooks.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, c
}

// verify checks a signature as a receiver does, by the specification alone.
func verify(r request, key []byte) error {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.header.Get("webhook-id"), r.header.Get("webhook-timestamp"), r.body)
	for _, signature := range strings.Split(r.header.Get("webhook-signature"), " ") {
		version, encoded, _ := strings.Cut(signature, ",")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return err
		}
		if version == "v1" && hmac.Equal(got, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %q is right", r.header.Get("webhook-signature"))
}

func decode(t *testing.T, r request) lifecycle.Event {
	t.Helper()
	var e lifecycle.Event
	if err := json.Unmarshal(r.body, &e); err != nil {
		t.Fatal(err)
	}
	return e
}
