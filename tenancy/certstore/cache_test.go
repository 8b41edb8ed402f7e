// The cache: serving without the store, and not for longer than that.

package certstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
)

// messages counts what was logged at this text.
func messages(logs *observer.ObservedLogs, text string) int {
	return logs.FilterMessageSnippet(text).Len()
}

const (
	saidDown = "does not answer; certificates come from the cache"
	saidUp   = "answers again"
)

// cut are the ways in which a store can be gone.
var cut = map[string]func(*gate){
	"refuses":   (*gate).shut,
	"is silent": func(g *gate) { g.silence(true) },
}

func mend(g *gate, way string) {
	if way == "refuses" {
		g.reopen()
	} else {
		g.silence(false)
	}
}

// TestStoreDown: what was seen once is served without the store, also by a process
// that starts then; nothing else is said to be missing, and nothing can be changed.
func TestStoreDown(t *testing.T) {
	for way, cutOff := range cut {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			folder := filepath.Join(t.TempDir(), "cache")
			log, logs := logged()
			clock := newClock()
			o := certstore.Options{
				Cluster: g.cluster(), Database: g.db(), Cache: folder, Logger: log, Now: clock.Now,
				Times: certstore.Times{Read: 300 * time.Millisecond, Cached: 200 * time.Millisecond, Write: 30 * time.Second, WriteDown: 300 * time.Millisecond, Lock: 300 * time.Millisecond, Down: 5 * time.Second},
			}
			large := bytes.Repeat([]byte("large"), 100_000)
			first := openUnclosed(t, certstore.Options{Cluster: g.cluster(), Database: g.db(), Cache: folder})
			must(t, first.Store(t.Context(), "certs/a/a.crt", []byte("crt")))
			must(t, first.Store(t.Context(), "certs/a/a.key", []byte("key")))
			must(t, first.Store(t.Context(), "certs/large", large))
			elsewhere := open(t, certstore.Options{Cluster: g.store.Cluster, Database: g.db()})
			must(t, elsewhere.Store(t.Context(), "certs/b", []byte("b")))
			must(t, elsewhere.Store(t.Context(), "certs/never-seen", []byte("c")))
			if got, err := first.Load(t.Context(), "certs/b"); err != nil || string(got) != "b" {
				t.Fatalf("%q, %v", got, err)
			}
			must(t, first.Close())
			cutOff(g)

			s := open(t, o) // a process that starts while the store is down
			for round := range 3 {
				for name, want := range map[string][]byte{"certs/a/a.crt": []byte("crt"), "certs/a/a.key": []byte("key"), "certs/b": []byte("b"), "certs/large": large} {
					if got, err := s.Load(t.Context(), name); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("round %d, %s: %d bytes, %v", round, name, len(got), err)
					}
				}
			}
			if _, err := s.Load(t.Context(), "certs/never-seen"); !errors.Is(err, tenancy.ErrUnavailable) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what the cache does not have: %v", err)
			}
			got, err := s.List(t.Context(), "certs", true)
			if want := []string{"certs/a", "certs/a/a.crt", "certs/a/a.key", "certs/b", "certs/large"}; err != nil || !slices.Equal(got, want) {
				t.Errorf("list: %q, %v", got, err)
			}
			if _, err := s.List(t.Context(), "other", true); !errors.Is(err, tenancy.ErrUnavailable) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("list of what the cache does not have: %v", err)
			}
			if found, err := s.Stat(t.Context(), "certs/large"); err != nil || found.Size != int64(len(large)) || !found.IsTerminal || found.Modified.IsZero() {
				t.Errorf("stat: %+v, %v", found, err)
			}
			if found, err := s.Stat(t.Context(), "certs/a"); err != nil || found.IsTerminal {
				t.Errorf("stat of a directory: %+v, %v", found, err)
			}
			if !s.Exists(t.Context(), "certs/b") || s.Exists(t.Context(), "certs/never-seen") {
				t.Error("what exists is wrong")
			}
			for name, err := range map[string]error{
				"store": s.Store(t.Context(), "certs/b", []byte("split brain")), "delete": s.Delete(t.Context(), "certs/b"), "lock": s.Lock(t.Context(), "l"),
			} {
				if !errors.Is(err, tenancy.ErrUnavailable) || !strings.Contains(err.Error(), "does not answer") {
					t.Errorf("%s: %v", name, err)
				}
			}
			if got, err := s.Load(t.Context(), "certs/b"); err != nil || string(got) != "b" {
				t.Errorf("after a write that failed: %q, %v", got, err)
			}
			if messages(logs, saidDown) != 1 || messages(logs, saidUp) != 0 {
				t.Errorf("logged %d times that it is down", messages(logs, saidDown))
			}

			mend(g, way)
			must(t, elsewhere.Store(t.Context(), "certs/b", []byte("new")))
			if got, err := s.Load(t.Context(), "certs/b"); err != nil || string(got) != "b" {
				t.Errorf("before the store is tried again: %q, %v", got, err)
			}
			wait(t, "the store is tried again", func() error {
				clock.advance(10 * time.Second) // past the store's own back-off too
				if got, err := s.Load(t.Context(), "certs/b"); err != nil || string(got) != "new" {
					return fmt.Errorf("%q, %w", got, err)
				}
				return nil
			})
			must(t, s.Store(t.Context(), "certs/b", []byte("newer")))
			if messages(logs, saidDown) != 1 || messages(logs, saidUp) != 1 {
				t.Errorf("logged %d times that it is down, and %d that it is back", messages(logs, saidDown), messages(logs, saidUp))
			}
		})
	}
}

// TestBreaker: with the store silent, one read waits, and the others do not.
func TestBreaker(t *testing.T) {
	g := newGate(t)
	time1 := newClock()
	s := open(t, certstore.Options{
		Cluster: g.cluster(), Database: g.db(), Cache: t.TempDir(), Now: time1.Now, Times: certstore.Times{Cached: 300 * time.Millisecond, Down: 5 * time.Second},
	})
	must(t, s.Store(t.Context(), "k", []byte("v")))
	g.silence(true)
	load := func() time.Duration {
		t.Helper()
		begun := time.Now()
		if got, err := s.Load(t.Context(), "k"); err != nil || string(got) != "v" {
			t.Fatalf("%q, %v", got, err)
		}
		return time.Since(begun)
	}
	if took := load(); took < 300*time.Millisecond {
		t.Errorf("the first read gave up after %s", took)
	}
	asked := g.requests.Load()
	for range 100 {
		load()
	}
	time1.advance(4 * time.Second)
	load()
	if n := g.requests.Load() - asked; n != 0 {
		t.Errorf("%d requests to a store that is known not to answer", n)
	}
	time1.advance(2 * time.Second)
	load()
	load()
	if n := g.requests.Load() - asked; n != 1 {
		t.Errorf("%d requests after the pause, want 1", n)
	}
}

// TestStoreIsTheTruth: while it answers, nothing comes from the cache.
func TestStoreIsTheTruth(t *testing.T) {
	c := embeddedCluster(t)
	folder := t.TempDir()
	s, other := open(t, certstore.Options{Cluster: c, Cache: folder}), open(t, certstore.Options{Cluster: c})
	must(t, s.Store(t.Context(), "a/k", []byte("one")))
	must(t, other.Store(t.Context(), "a/k", []byte("two")))
	if got, err := s.Load(t.Context(), "a/k"); err != nil || string(got) != "two" {
		t.Fatalf("%q, %v", got, err)
	}
	if n := len(files(t, folder)); n != 1 {
		t.Fatalf("%d files", n)
	}
	must(t, other.Delete(t.Context(), "a"))
	if _, err := s.Load(t.Context(), "a/k"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%v", err)
	}
	if n := len(files(t, folder)); n != 0 {
		t.Fatalf("%d files of what the store does not have", n)
	}
	must(t, s.Store(t.Context(), "a/k", []byte("three")))
	must(t, s.Store(t.Context(), "a/l", []byte("three")))
	must(t, s.Delete(t.Context(), "a"))
	if n := len(files(t, folder)); n != 0 {
		t.Fatalf("%d files of what was deleted", n)
	}
}

// TestNoDatabase: a database that is gone is no certain answer. What the cache has is
// served, and the loss is said once.
func TestNoDatabase(t *testing.T) {
	c := embeddedCluster(t)
	log, logs := logged()
	s := open(t, certstore.Options{Cluster: c, Cache: t.TempDir(), Logger: log})
	must(t, s.Store(t.Context(), "k", []byte("v")))
	_, err := c.DestroyDB(t.Context(), "certs")
	must(t, err)
	for range 3 {
		if got, err := s.Load(t.Context(), "k"); err != nil || string(got) != "v" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if _, err := s.Load(t.Context(), "other"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if messages(logs, "the database of certificates is gone") != 1 {
		t.Errorf("logged %d times", messages(logs, "the database of certificates is gone"))
	}
	must(t, s.Store(t.Context(), "l", []byte("w")))
	must(t, s.Lock(t.Context(), "k"))
	must(t, s.Unlock(t.Context(), "k"))
}

// TestCacheUnderAnotherKey: a copy that the keys do not open is no copy.
func TestCacheUnderAnotherKey(t *testing.T) {
	g := newGate(t)
	folder := t.TempDir()
	o := certstore.Options{Cluster: g.cluster(), Database: g.db(), Cache: folder}
	must(t, open(t, o).Store(t.Context(), "k", []byte("v")))
	o.Ring = ring(t, 2)
	g.shut()
	if _, err := open(t, o).Load(t.Context(), "k"); !errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	o.Ring = ring(t, 2, 1)
	if got, err := open(t, o).Load(t.Context(), "k"); err != nil || string(got) != "v" {
		t.Errorf("with the old key: %q, %v", got, err)
	}
}

// TestRotationReachesTheCache: a front door that did not seal anew itself has
// nothing under the old key afterwards.
func TestRotationReachesTheCache(t *testing.T) {
	g := newGate(t)
	o := certstore.Options{Cluster: g.cluster(), Database: g.db(), Cache: t.TempDir()}
	s := open(t, o)
	must(t, s.Store(t.Context(), "k", []byte("v")))
	other := open(t, certstore.Options{Cluster: g.store.Cluster, Database: g.db(), Ring: ring(t, 2, 1)})
	if p, err := other.Rotate(t.Context(), nil); err != nil || p.Sealed != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	must(t, s.Use(ring(t, 2, 1), 0))
	if p, err := s.Rotate(t.Context(), nil); err != nil || p.Sealed != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	must(t, s.Use(ring(t, 2), 0))
	g.shut()
	if got, err := s.Load(t.Context(), "k"); err != nil || string(got) != "v" {
		t.Errorf("%q, %v", got, err)
	}
}
