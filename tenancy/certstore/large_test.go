// Large values: that nobody sees half of one, and that crashes leave nothing for ever.

package certstore_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// chunkCount is how many chunks there are.
func chunkCount(t *testing.T, c *couch.Cluster, db string) (n int) {
	t.Helper()
	must(t, c.Walk(t.Context(), db, couch.Range{Start: "chunk/", End: "chunk/~"}, func(couch.Row) error { n++; return nil }))
	return n
}

// TestReadersSeeWholeValues while it is replaced all the time.
func TestReadersSeeWholeValues(t *testing.T) {
	t.Parallel()
	c := embeddedCluster(t)
	writer, reader := open(t, certstore.Options{Cluster: c}), open(t, certstore.Options{Cluster: c})
	value := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 300<<10+n%2*16<<10) }
	must(t, writer.Store(t.Context(), "large", value(0)))
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				got, err := reader.Load(t.Context(), "large")
				if err != nil || len(got) == 0 || !bytes.Equal(got, value(int(got[0]))) {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	for n := range 20 {
		must(t, writer.Store(t.Context(), "large", value(n)))
	}
	stop()
	all.Wait()
	if n := chunkCount(t, c, "certs"); n != 2 {
		t.Errorf("%d chunks are left, want 2", n)
	}
}

// TestCrashBeforeTheDocument: chunks without their document change nothing, and go
// with the second sweep that sees them, not before their time.
func TestCrashBeforeTheDocument(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	old, fresh := []byte(strings.Repeat("old", 10_000)), []byte(strings.Repeat("new", 200_000))
	time1 := newClock()
	o := certstore.Options{Cluster: g.cluster(), Database: g.db(), Now: time1.Now, Times: certstore.Times{Write: 5 * time.Second}}
	s := open(t, o)
	must(t, s.Store(t.Context(), "value", old))
	// From the document on, nothing gets through: as if the process had gone.
	g.first(func(r *http.Request) {
		if writes(r, "value") {
			panic(http.ErrAbortHandler)
		}
	})
	if err := s.Store(t.Context(), "value", fresh); err == nil {
		t.Fatal("it was stored")
	}
	g.first(nil)
	time1.advance(time.Minute) // the store is tried again
	if got, err := s.Load(t.Context(), "value"); err != nil || !bytes.Equal(got, old) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	count := func() int { return chunkCount(t, g.store.Cluster, g.db()) }
	if n := count(); n != 1+3 {
		t.Fatalf("%d chunks, want 4", n)
	}
	must(t, s.Sweep(t.Context()))
	time1.advance(59 * time.Minute)
	must(t, s.Sweep(t.Context()))
	if n := count(); n != 4 {
		t.Fatalf("%d chunks before their time, want 4", n)
	}
	// Another process has to see them itself.
	must(t, open(t, o).Sweep(t.Context()))
	time1.advance(time.Minute)
	must(t, open(t, o).Sweep(t.Context()))
	if n := count(); n != 4 {
		t.Fatalf("%d chunks after sweeps of other processes, want 4", n)
	}
	must(t, s.Sweep(t.Context()))
	if n := count(); n != 1 {
		t.Fatalf("%d chunks, want 1", n)
	}
	if got, err := s.Load(t.Context(), "value"); err != nil || !bytes.Equal(got, old) {
		t.Fatalf("after the sweep: %d bytes, %v", len(got), err)
	}
}

// TestLostAnswers: a write whose answer is lost is done, once, and nothing of it is
// taken for left behind.
func TestLostAnswers(t *testing.T) {
	g := newGate(t)
	s := open(t, certstore.Options{Cluster: g.cluster(), Database: g.db()})
	large := bytes.Repeat([]byte("x"), 300<<10)
	must(t, s.Store(t.Context(), "before", nil))
	for name, lose := range map[string]func(*http.Request) bool{
		"of the chunks":   func(r *http.Request) bool { return writes(r, "bulk") },
		"of the document": func(r *http.Request) bool { return writes(r, "value") },
	} {
		g.losing(once(lose))
		must(t, s.Store(t.Context(), name, large))
		if got, err := s.Load(t.Context(), name); err != nil || !bytes.Equal(got, large) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	g.losing(once(func(r *http.Request) bool { return writes(r, "bulk") }))
	must(t, s.Delete(t.Context(), "of the chunks"))
	g.losing(nil)
	if n := chunkCount(t, g.store.Cluster, g.db()); n != 2 {
		t.Errorf("%d chunks, want 2", n)
	}
}

// TestRequests counts what each operation costs, as its docstring says.
func TestRequests(t *testing.T) {
	t.Parallel()
	c := embeddedCluster(t)
	s := open(t, certstore.Options{Cluster: c, Cache: t.TempDir()})
	bare := open(t, certstore.Options{Cluster: c})
	large := make([]byte, 5<<20)
	ctx := t.Context()
	must(t, s.Store(ctx, "first", nil)) // makes the database
	for _, step := range []struct {
		name string
		want int64
		call func() error
	}{
		{"store, new", 1, func() error { return s.Store(ctx, "a/b", []byte("x")) }},
		{"store over what is known", 1, func() error { return s.Store(ctx, "a/b", []byte("y")) }},
		{"store over what is not known", 3, func() error { return bare.Store(ctx, "a/b", []byte("z")) }},
		{"load", 1, func() error { _, err := s.Load(ctx, "a/b"); return err }},
		{"load of nothing", 1, func() error { _, _ = s.Load(ctx, "no"); return nil }},
		{"store, large", 3, func() error { return s.Store(ctx, "large", large) }},
		{"store, large, over large", 4, func() error { return s.Store(ctx, "large", large) }},
		{"load, large", 3, func() error { _, err := s.Load(ctx, "large"); return err }},
		{"exists", 1, func() error { s.Exists(ctx, "a/b"); return nil }},
		{"exists not", 2, func() error { s.Exists(ctx, "a/c"); return nil }},
		{"stat of a directory", 2, func() error { _, err := s.Stat(ctx, "a"); return err }},
		{"list", 1, func() error { _, err := s.List(ctx, "a", false); return err }},
		{"list of nothing", 2, func() error { _, _ = s.List(ctx, "no", true); return nil }},
		{"delete of nothing", 2, func() error { return s.Delete(ctx, "no") }},
		{"delete", 3, func() error { return s.Delete(ctx, "a/b") }},
		{"delete, large", 4, func() error { return s.Delete(ctx, "large") }},
		{"lock", 2, func() error { return s.Lock(ctx, "l") }},
		{"try a lock that is held", 2, func() error { _, err := bare.TryLock(ctx, "l"); return err }},
		{"renew", 1, func() error { return s.RenewLockLease(ctx, "l", time.Minute) }},
		{"unlock", 1, func() error { return s.Unlock(ctx, "l") }},
		{"sweep of nothing", 1, func() error { return s.Sweep(ctx) }},
	} {
		before := c.Calls()
		if err := step.call(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if n := c.Calls() - before; n != step.want {
			t.Errorf("%s: %d requests, want %d", step.name, n, step.want)
		}
	}
}
