// Answers: those that refuse, and those that harm.

package hooks_test

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/hooks"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func TestRefusal(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 451, 499} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			r := receive(t, status(code))
			h, c := telling(t, r.URL)
			err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy))
			if !errors.Is(err, lifecycle.ErrRefused) || !errors.Is(err, tenancy.ErrConflict) || errors.Is(err, tenancy.ErrUnavailable) {
				t.Fatalf("%v", err)
			}
			if want := "the hook before_destroy refuses: " + strconv.Itoa(code); err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
			r.count(t, 1)
			if len(c.pauses) > 0 {
				t.Errorf("pauses %v", c.pauses)
			}
		})
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 300)
	for name, c := range map[string]struct{ contentType, body, want string }{
		"JSON":                    {"application/json", `{"error":"accounts are in use"}`, "accounts are in use"},
		"JSON with a charset":     {"application/json; charset=utf-8", `{"error":"no"}`, "no"},
		"a problem's JSON":        {"application/problem+json", `{"error":"no"}`, "no"},
		"an object in JSON":       {"application/json", `{"error":{"code":7,"message":"in use"}}`, "in use"},
		"JSON of other fields":    {"application/json", `{"detail":"in use"}`, ""},
		"JSON of another kind":    {"application/json", `["no"]`, ""},
		"JSON that is none":       {"application/json", `no`, ""},
		"a number for words":      {"application/json", `{"error":7}`, ""},
		"plain text":              {"text/plain; charset=utf-8", "accounts are in use", "accounts are in use"},
		"several lines":           {"text/plain", "\n\n  one  \ntwo", "one"},
		"no type":                 {"", "one", "one"},
		"HTML":                    {"text/html", "<h1>Not found</h1>", ""},
		"nothing":                 {"text/plain", "", ""},
		"control characters":      {"text/plain", "a\x1b[31mb\tc\x00d\r", "a[31mbcd"},
		"newlines in JSON":        {"application/json", `{"error":"a\u001bb\nc"}`, "ab"},
		"directions, other lines": {"text/plain", "a\u202eb\u2028c\ufeffd", "abcd"},
		"bytes that are no text":  {"text/plain", "a\xff\xfeb", "ab"},
		"long words":              {"text/plain", long, long[:2*200]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := telling(t, receive(t, text(http.StatusConflict, c.contentType, c.body)).URL)
			err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy))
			if !errors.Is(err, lifecycle.ErrRefused) {
				t.Fatalf("%v", err)
			}
			want := "the hook before_destroy refuses: 409"
			if c.want != "" {
				want += ": " + c.want
			}
			if err.Error() != want || !utf8.ValidString(err.Error()) {
				t.Errorf("%q, want %q", err, want)
			}
		})
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		elsewhere := receive(t, status(http.StatusOK))
		r := receive(t, status(code, "Location", elsewhere.URL+"/elsewhere"))
		h, _ := telling(t, r.URL)
		err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy))
		if !errors.Is(err, tenancy.ErrUnavailable) || !strings.Contains(err.Error(), strconv.Itoa(code)) || strings.Contains(err.Error(), "elsewhere/") {
			t.Errorf("%d: %v", code, err)
		}
		r.count(t, 1)
		elsewhere.count(t, 0)
	}
}

// TestSilence: a server that takes the event and says nothing, or that stops in
// the middle of its answer.
func TestSilence(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	silent := func(http.ResponseWriter, *http.Request) { <-end }
	stalled := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, "in use")
		_ = http.NewResponseController(w).Flush()
		<-end
	}
	r, s := receive(t, silent), receive(t, stalled)
	defer close(end)
	quick := func(o *hooks.Options) { o.TryTime, o.Tries = 50*time.Millisecond, 2 }
	h, _ := telling(t, r.URL, quick)
	err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy))
	if !errors.Is(err, tenancy.ErrUnavailable) || err.Error() != "the hook before_destroy fails: no answer within 50ms (try 2)" {
		t.Errorf("silent: %v", err)
	}
	r.count(t, 2)
	h, _ = telling(t, s.URL, quick)
	if err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy)); !errors.Is(err, lifecycle.ErrRefused) || !strings.HasSuffix(err.Error(), "409: in use") {
		t.Errorf("stalled: %v", err)
	}
}

// TestEndlessAnswers would not end if answers were read to their end.
func TestEndlessAnswers(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusOK, http.StatusForbidden} {
		stopped := make(chan struct{})
		r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
			defer close(stopped)
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(code)
			for block := []byte(strings.Repeat("x", 1<<16)); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		})
		h, _ := telling(t, r.URL)
		err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy))
		if (err == nil) != (code == http.StatusOK) || err != nil && len(err.Error()) > 300 {
			t.Errorf("%d: %v", code, err)
		}
		<-stopped
	}
}

// TestUntrusted: a server whose certificate nobody has signed gets nothing.
func TestUntrusted(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was told") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	h, _ := telling(t, s.URL+"/?key="+token)
	err := h.Deliver(t.Context(), event(lifecycle.SendLink))
	if !errors.Is(err, tenancy.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), token) {
		t.Errorf("%v", err)
	}
}

// TestNoHTTP: a server that repeats what it gets, and one that is not there.
func TestNoHTTP(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.CopyN(conn, conn, 64)
				_ = conn.Close()
			}()
		}
	}()
	url := "http://" + l.Addr().String() + "/?key=" + token
	h, _ := telling(t, url)
	err = h.Deliver(t.Context(), event(lifecycle.SendLink))
	if !errors.Is(err, tenancy.ErrUnavailable) || strings.Contains(err.Error(), token) {
		t.Errorf("an echo: %v", err)
	}
	_ = l.Close()
	err = h.Deliver(t.Context(), event(lifecycle.SendLink))
	if !errors.Is(err, tenancy.ErrUnavailable) || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody there: %v", err)
	}
}
