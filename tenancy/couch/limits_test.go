package couch_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// TestCallTimeout: a node that accepts and never answers.
func TestCallTimeout(t *testing.T) {
	dark, _ := hole(t)
	c := open(t, couch.Config{CallTimeout: 100 * time.Millisecond}, dark)
	for name, call := range writes(c) {
		within(t, name, func() {
			err := call(t.Context())
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, tenancy.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// TestFeedLimits: a feed outlives the limit of calls, and no silent peer.
func TestFeedLimits(t *testing.T) {
	nothing := func(couch.Change) error { return nil }
	feed := couch.Feed{Since: "7-x", Wait: 200 * time.Millisecond}
	cfg := couch.Config{CallTimeout: 50 * time.Millisecond, FeedGrace: 150 * time.Millisecond}

	t.Run("never an answer", func(t *testing.T) {
		dark, _ := hole(t)
		c := open(t, cfg, dark)
		within(t, "the feed", func() {
			begun := time.Now()
			last, _, err := c.Changes(t.Context(), "db", feed, nothing)
			if !errors.Is(err, tenancy.ErrUnavailable) || last != "7-x" {
				t.Errorf("%q, %v", last, err)
			}
			if took := time.Since(begun); took < feed.Wait+cfg.FeedGrace {
				t.Errorf("given up after %s", took)
			}
		})
	})
	// starts answers the header and the first words of a feed, then does more.
	starts := func(more func(io.Writer, *http.Request, func())) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{\"results\":[\n")
			flush := func() { _ = http.NewResponseController(w).Flush() }
			flush()
			more(w, r, flush)
		}
	}
	t.Run("silent after the header", func(t *testing.T) {
		node := serve(t, starts(func(_ io.Writer, r *http.Request, _ func()) { <-r.Context().Done() }))
		c := open(t, cfg, node.URL)
		within(t, "the feed", func() {
			if _, _, err := c.Changes(t.Context(), "db", feed, nothing); !errors.Is(err, tenancy.ErrUnavailable) {
				t.Error(err)
			}
		})
	})
	beats := func(n int, end string) http.HandlerFunc {
		return starts(func(w io.Writer, r *http.Request, flush func()) {
			tick := time.NewTicker(40 * time.Millisecond)
			defer tick.Stop()
			for ; n != 0; n-- {
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
				_, _ = io.WriteString(w, "\n")
				flush()
			}
			_, _ = io.WriteString(w, end)
		})
	}
	t.Run("signs of life, and no end", func(t *testing.T) {
		node := serve(t, beats(-1, ""))
		c := open(t, cfg, node.URL)
		within(t, "the feed", func() {
			begun := time.Now()
			last, more, err := c.Changes(t.Context(), "db", feed, nothing)
			if err != nil || more || last != "7-x" {
				t.Errorf("%q, %v, %v", last, more, err)
			}
			if took := time.Since(begun); took < feed.Wait {
				t.Errorf("ended after %s", took)
			}
		})
	})
	t.Run("longer than any limit, but never silent", func(t *testing.T) {
		const row = `{"seq":"8-x","id":"a","changes":[{"rev":"1-a"}],"doc":{"_id":"a","_rev":"1-a"}}`
		node := serve(t, starts(func(w io.Writer, r *http.Request, flush func()) {
			tick := time.NewTicker(40 * time.Millisecond)
			defer tick.Stop()
			for i := range 15 {
				<-tick.C
				if i > 0 {
					_, _ = io.WriteString(w, ",\n")
				}
				_, _ = io.WriteString(w, row)
				flush()
			}
			_, _ = io.WriteString(w, `],"last_seq":"8-x"}`)
		}))
		c := open(t, cfg, node.URL)
		seen := 0
		last, _, err := c.Changes(t.Context(), "db", feed, func(couch.Change) error { seen++; return nil })
		if err != nil || seen != 15 || last != "8-x" {
			t.Errorf("%d changes, %q, %v", seen, last, err)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		node := serve(t, starts(func(io.Writer, *http.Request, func()) { panic(http.ErrAbortHandler) }))
		c := open(t, cfg, node.URL)
		if last, _, err := c.Changes(t.Context(), "db", feed, nothing); !errors.Is(err, tenancy.ErrUnavailable) || last != "7-x" {
			t.Errorf("%q, %v", last, err)
		}
	})
}

// TestCancel: a caller who gives up gets his answer at once, the server hears of
// it, and the node is not blamed.
func TestCancel(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	slow := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not watch the connection
		entered <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})
	other := serve(t, whole)
	c := open(t, couch.Config{}, slow.URL, other.URL)
	for _, calls := range []map[string]func(context.Context) error{reads(c), writes(c)} {
		for name, call := range calls {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- call(ctx) }()
			<-entered
			cancel()
			within(t, name, func() {
				err := <-done
				if !errors.Is(err, context.Canceled) || errors.Is(err, tenancy.ErrUnavailable) {
					t.Errorf("%s: %v", name, err)
				}
				<-left
			})
		}
	}
	other.saw(t, 0, "cancelled calls")
}

// TestCloseEndsCalls: also a feed, which would go on for a long time.
func TestCloseEndsCalls(t *testing.T) {
	entered := make(chan struct{})
	node := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		entered <- struct{}{}
		<-r.Context().Done()
	})
	c := open(t, couch.Config{}, node.URL)
	done := make(chan error, 1)
	go func() {
		_, _, err := c.Changes(t.Context(), "db", couch.Feed{Wait: time.Minute}, nil)
		done <- err
	}()
	<-entered
	within(t, "Close", func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil {
			t.Error("the feed ended without an error")
		}
	})
}

// TestAnErrorOfTheCallerEndsAFeed: the connection goes, nothing is left running.
func TestAnErrorOfTheCallerEndsAFeed(t *testing.T) {
	left := make(chan struct{})
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"results":[{"seq":"1-x","id":"a","changes":[{"rev":"1-a"}],"doc":{}},{"seq":"2-x","id":"b","changes":[],"doc":{}},`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	c := open(t, couch.Config{}, node.URL)
	enough := errors.New("enough")
	_, _, err := c.Changes(t.Context(), "db", couch.Feed{Wait: time.Minute}, func(couch.Change) error { return enough })
	if err != enough {
		t.Errorf("%v", err)
	}
	<-left
}

// TestConnections: few, and used again.
func TestConnections(t *testing.T) {
	var opened, now, most atomic.Int64
	full, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == 3 {
			once.Do(func() { close(full) })
		}
		<-release
		w.Header().Set("Content-Type", "application/json")
		_ = http.NewResponseController(w).Flush() // in chunks, whose end is a chunk of its own
		_, _ = io.WriteString(w, `{"_id":"a","_rev":"1-a"}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := open(t, couch.Config{MaxConns: 3}, server.URL)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := c.Get(t.Context(), "db", "a"); err != nil {
				t.Error(err)
			}
		})
	}
	<-full
	close(release)
	all.Wait()
	for range 50 {
		if _, err := c.Get(t.Context(), "db", "a"); err != nil {
			t.Fatal(err)
		}
	}
	if most.Load() != 3 || opened.Load() != 3 {
		t.Errorf("%d requests at once over %d connections, want 3 and 3", most.Load(), opened.Load())
	}
	if c.Calls() != 70 {
		t.Errorf("%d calls, want 70", c.Calls())
	}
}

// TestTooLarge: what no node would take is not sent.
func TestTooLarge(t *testing.T) {
	node := serve(t, whole)
	c := open(t, couch.Config{}, node.URL)
	_, err := c.Put(t.Context(), "db", "a", json.RawMessage(`{"text":"`+strings.Repeat("x", 17<<20)+`"}`))
	if !errors.Is(err, couch.ErrRefused) || errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	node.saw(t, 0, "a document that is too large")
}
