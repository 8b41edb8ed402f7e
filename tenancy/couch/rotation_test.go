package couch_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// reads are all the calls that change nothing, each with an answer that suits it.
func reads(c *couch.Cluster) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"get":       func(ctx context.Context) error { _, err := c.Get(ctx, "db", "a"); return err },
		"get many":  func(ctx context.Context) error { _, err := c.GetMany(ctx, "db", []string{"a"}); return err },
		"view":      func(ctx context.Context) error { _, err := c.View(ctx, "db", "d", "v", []string{"a"}); return err },
		"info":      func(ctx context.Context) error { _, err := c.Info(ctx, "db"); return err },
		"databases": func(ctx context.Context) error { _, err := c.ListDBs(ctx, ""); return err },
		"walk": func(ctx context.Context) error {
			return c.Walk(ctx, "db", couch.Range{}, func(couch.Row) error { return nil })
		},
		"changes": func(ctx context.Context) error {
			_, _, err := c.Changes(ctx, "db", couch.Feed{Wait: 50 * time.Millisecond}, func(couch.Change) error { return nil })
			return err
		},
	}
}

// writes are all those that do.
func writes(c *couch.Cluster) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"put": func(ctx context.Context) error {
			_, err := c.Put(ctx, "db", "a", json.RawMessage(`{"n":1}`))
			return err
		},
		"delete":  func(ctx context.Context) error { _, err := c.Delete(ctx, "db", "a", "1-a"); return err },
		"create":  func(ctx context.Context) error { _, err := c.CreateDB(ctx, "db"); return err },
		"destroy": func(ctx context.Context) error { _, err := c.DestroyDB(ctx, "db"); return err },
		"bulk": func(ctx context.Context) error {
			_, err := c.Bulk(ctx, "db", []any{json.RawMessage(`{"_id":"a","n":1}`)})
			return err
		},
	}
}

// whole answers every call of this package as a database with nothing in it would.
func whole(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch path := r.URL.Path; {
	case path == "/_all_dbs":
		answer(http.StatusOK, `["db"]`)(w, r)
	case path == "/db/_changes":
		answer(http.StatusOK, `{"results":[],"last_seq":"1-x","pending":0}`)(w, r)
	case path == "/db/_bulk_docs":
		answer(http.StatusCreated, `[{"ok":true,"id":"a","rev":"1-a"}]`)(w, r)
	case path == "/db/_all_docs", path == "/db/_design/d/_view/v":
		answer(http.StatusOK, `{"total_rows":0,"offset":0,"rows":[]}`)(w, r)
	case path == "/db" && r.Method == http.MethodGet:
		answer(http.StatusOK, `{"db_name":"db","update_seq":"1-x","doc_count":0}`)(w, r)
	case path == "/db/a" && r.Method == http.MethodPut && strings.TrimSpace(string(body)) != `{"n":1}`:
		answer(http.StatusBadRequest, `{"error":"bad_request","reason":"not the document"}`)(w, r)
	case path == "/db", path == "/db/a":
		if r.Method == http.MethodDelete {
			w.Header().Set("ETag", `"2-a"`)
		}
		doc(w, r)
	default:
		http.Error(w, "no such path: "+path, http.StatusTeapot)
	}
}

// TestRefused: a node that takes no connection has seen nothing, so every call
// goes on to the next.
func TestRefused(t *testing.T) {
	live := serve(t, whole)
	for _, calls := range []func(*couch.Cluster) map[string]func(context.Context) error{reads, writes} {
		for name := range calls(nil) {
			t.Run(name, func(t *testing.T) {
				c := open(t, couch.Config{}, refused(t), live.URL)
				if err := calls(c)[name](t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// TestBroken: a node that breaks off may have done what it was asked. A read goes
// on to the next, a write does not.
func TestBroken(t *testing.T) {
	for name := range reads(nil) {
		t.Run(name, func(t *testing.T) {
			broken, live := serve(t, breaks), serve(t, whole)
			c := open(t, couch.Config{}, broken.URL, live.URL)
			if err := reads(c)[name](t.Context()); err != nil {
				t.Fatal(err)
			}
			live.saw(t, 1, "a read")
		})
	}
	for name := range writes(nil) {
		t.Run(name, func(t *testing.T) {
			broken, live := serve(t, breaks), serve(t, whole)
			c := open(t, couch.Config{}, broken.URL, live.URL)
			err := writes(c)[name](t.Context())
			if !errors.Is(err, tenancy.ErrUnavailable) {
				t.Fatalf("%v, want ErrUnavailable", err)
			}
			live.saw(t, 0, "a write that may be done")
			broken.saw(t, 1, "a write that may be done")
			if err := writes(c)[name](t.Context()); err != nil {
				t.Fatal(err)
			}
			live.saw(t, 1, "the next write")
		})
	}
}

// TestBrokenAnswer: a node that dies in the middle of an answer costs a read nothing.
func TestBrokenAnswer(t *testing.T) {
	broken := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"_id":"a","_rev":"1-a","total_rows":5,"rows":[`)
	})
	live := serve(t, whole)
	for name := range reads(nil) {
		if name == "changes" { // it is not read whole: its caller has seen some of it
			continue
		}
		t.Run(name, func(t *testing.T) {
			c := open(t, couch.Config{}, broken.URL, live.URL)
			if err := reads(c)[name](t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestBusy: a 503 has done nothing; a 502 or 504 may have.
func TestBusy(t *testing.T) {
	for _, status := range []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		for name := range reads(nil) {
			t.Run(name+http.StatusText(status), func(t *testing.T) {
				busy, live := serve(t, answer(status, `{}`)), serve(t, whole)
				c := open(t, couch.Config{}, busy.URL, live.URL)
				for range 3 {
					if err := reads(c)[name](t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				busy.saw(t, 1, "three reads")
			})
		}
		for name := range writes(nil) {
			t.Run(name+http.StatusText(status), func(t *testing.T) {
				busy, live := serve(t, answer(status, `{}`)), serve(t, whole)
				c := open(t, couch.Config{}, busy.URL, live.URL)
				err := writes(c)[name](t.Context())
				if status == http.StatusServiceUnavailable {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				if !errors.Is(err, tenancy.ErrUnavailable) {
					t.Fatalf("%v, want ErrUnavailable", err)
				}
				live.saw(t, 0, "a write that may be done")
				if err := writes(c)[name](t.Context()); err != nil {
					t.Fatalf("the next write: %v", err)
				}
			})
		}
	}
}

// TestAllDown: an error, in a time that is bounded, for all kinds of being down.
func TestAllDown(t *testing.T) {
	dark, _ := hole(t)
	down := serve(t, answer(http.StatusServiceUnavailable, `{"error":"down","reason":"maintenance"}`))
	for name, urls := range map[string][]string{
		"one refused":     {refused(t)},
		"both refused":    {refused(t), refused(t)},
		"one black hole":  {dark},
		"two black holes": {dark, dark},
		"both busy":       {down.URL, down.URL},
		"mixed":           {down.URL, dark, refused(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, couch.Config{CallTimeout: 300 * time.Millisecond, NodeTimeout: 50 * time.Millisecond, FeedGrace: 50 * time.Millisecond}, urls...)
			for _, calls := range []map[string]func(context.Context) error{reads(c), writes(c)} {
				for name, call := range calls {
					within(t, name, func() {
						if err := call(t.Context()); !errors.Is(err, tenancy.ErrUnavailable) {
							t.Errorf("%s: %v, want ErrUnavailable", name, err)
						}
					})
				}
			}
		})
	}
}

// TestBackAfterBackoff: a node that failed is left alone for its back-off, and is
// asked again once the present one fails and it is due.
func TestBackAfterBackoff(t *testing.T) {
	var now clock
	busy := answer(http.StatusServiceUnavailable, `{}`)
	a, b, c := serve(t, busy), serve(t, doc), serve(t, busy)
	cluster := open(t, couch.Config{Now: now.Now}, a.URL, b.URL, c.URL)
	get := func() {
		t.Helper()
		if _, err := cluster.Get(t.Context(), "db", "a"); err != nil {
			t.Fatal(err)
		}
	}
	get()
	a.saw(t, 1, "the first call")
	b.saw(t, 1, "the first call")
	a.becomes(doc)
	now.pass(time.Hour)
	get()
	a.saw(t, 1, "the present node is well, so the old one is not gone back to")
	b.becomes(busy)
	get() // b, c, a
	b.saw(t, 3, "the present node fails")
	c.saw(t, 1, "the one after it fails")
	a.saw(t, 2, "the one that is back")
	get()
	b.saw(t, 3, "in its back-off")
	a.saw(t, 3, "the present one now")
	a.becomes(busy)
	c.becomes(doc)
	now.pass(5 * time.Second)
	get() // a, b, c
	b.saw(t, 4, "due again")
	c.saw(t, 2, "due again")
}

// TestHoleFirst: a black-holed node costs a read its share of the time, once.
func TestHoleFirst(t *testing.T) {
	dark, accepted := hole(t)
	live := serve(t, whole)
	c := open(t, couch.Config{NodeTimeout: time.Second, FeedGrace: time.Second}, dark, live.URL)
	within(t, "reads round a black hole", func() {
		for _, call := range reads(c) {
			if err := call(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n := accepted.Load(); n != 1 {
		t.Errorf("the black hole was asked %d times", n)
	}
	// A write is not asked again, but it is not held until the end either.
	c = open(t, couch.Config{NodeTimeout: time.Second}, dark, live.URL)
	within(t, "a write into a black hole", func() {
		if _, err := c.CreateDB(t.Context(), "db"); !errors.Is(err, tenancy.ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	})
	if _, err := c.CreateDB(t.Context(), "db"); err != nil {
		t.Error(err)
	}
}

// TestManyAtOnce: calls from many goroutines while nodes come and go. It is for the
// race detector, and for a rotation that never leaves a read without an answer while
// one node is up.
func TestManyAtOnce(t *testing.T) {
	a, b := serve(t, whole), serve(t, whole)
	c := open(t, couch.Config{}, a.URL, b.URL)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 40 {
				if worker == 0 {
					up, down := a, b
					if i%2 == 0 {
						up, down = b, a
					}
					up.becomes(whole)
					down.becomes(answer(http.StatusServiceUnavailable, `{}`))
				}
				_, err := c.Get(t.Context(), "db", "a")
				// In the moment between two changes both may have refused.
				if err != nil && !errors.Is(err, tenancy.ErrUnavailable) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if _, err := c.Get(t.Context(), "db", "a"); err != nil {
		t.Error(err)
	}
}
