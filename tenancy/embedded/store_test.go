// Tests of the store: its opening, its close, and how many syncs its writes cost.

package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	kivik "github.com/go-kivik/kivik/v4"
	"go.etcd.io/bbolt"

	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

func TestNewOpensNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "gatehouse.db")
	store := embedded.New(path)
	store.Client().DB("db")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("New made something: %v", err)
	}
}

func TestUseAfterClose(t *testing.T) {
	store := newStore(t)
	client := store.Client()
	create(t, client, "db")
	db := client.DB("db")
	for range 2 {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{
		"AllDBs": second(client.AllDBs(t.Context())),
		"Put":    second(db.Put(t.Context(), "a", map[string]any{})),
		"Get":    second(db.Get(t.Context(), "a").Rev()),
	} {
		if !errors.Is(err, embedded.ErrClosed) || kivik.HTTPStatus(err) != 503 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Writes that have begun are on disk when Close returns, the others are refused.
func TestCloseWaitsForWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	store := embedded.New(path)
	client := store.Client()
	create(t, client, "db")
	started := make(chan struct{}, 1000)
	var writers sync.WaitGroup
	var mu sync.Mutex
	acknowledged := []string{}
	for w := range 8 {
		writers.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d", w, i)
				if _, err := client.DB("db").Put(t.Context(), id, map[string]any{}); err != nil {
					if !errors.Is(err, embedded.ErrClosed) {
						t.Errorf("Put: %v", err)
					}
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, id)
				mu.Unlock()
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 50 {
		<-started
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
	again := embedded.New(path)
	defer again.Close() //nolint:errcheck // it only read
	rows, _ := list(t, again.Client().DB("db").AllDocs(t.Context()))
	if len(rows) != len(acknowledged) {
		t.Errorf("%d documents, %d acknowledged", len(rows), len(acknowledged))
	}
}

func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	open := func(path string) error {
		store := embedded.New(path)
		defer store.Close() //nolint:errcheck // it did not open
		_, err := store.Client().AllDBs(t.Context())
		return err
	}
	bolt := func(name, bucket, format string) string {
		path := filepath.Join(dir, name)
		db := must(bbolt.Open(path, 0o600, nil))
		defer db.Close() //nolint:errcheck // the test sees it
		if err := db.Update(func(tx *bbolt.Tx) error {
			return must(tx.CreateBucket([]byte(bucket))).Put([]byte("format"), []byte(format))
		}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := open(bolt("newer", "gatehouse", "2"))
	wantStatus(t, newer, 503, "the store "+dir+"/newer has format 2, and this version knows up to 1; start the newer version that wrote it")
	if !errors.Is(newer, embedded.ErrNewerFormat) {
		t.Errorf("%v is not ErrNewerFormat", newer)
	}
	wantStatus(t, open(bolt("other", "other", "1")), 503, "cannot use the store "+dir+"/other: it is a bbolt file of another program")
	wantStatus(t, open(bolt("odd", "gatehouse", "x")), 503)
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("not a database, and long enough to look at"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, open(text), 503)
	wantStatus(t, open(filepath.Join(text, "below")), 503) // a folder that cannot be made
}

// A failed open is tried again at the next use.
func TestOpenIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	if err := os.Mkdir(path, 0o700); err != nil { // a folder in the file's place
		t.Fatal(err)
	}
	store := embedded.New(path)
	defer store.Close() //nolint:errcheck // nothing was written
	_, err := store.Client().AllDBs(t.Context())
	wantStatus(t, err, 503)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Client().AllDBs(t.Context()); err != nil {
		t.Error(err)
	}
}

// transactions tells how many write transactions a store's file has seen.
func transactions(t *testing.T, path string) int {
	t.Helper()
	db := must(bbolt.Open(path, 0o600, nil))
	defer db.Close() //nolint:errcheck // it only read
	tx := must(db.Begin(false))
	defer tx.Rollback() //nolint:errcheck // it only read
	return tx.ID()
}

// An instance's 16 databases with three documents each, made concurrently, share
// their syncs; a refused one disturbs none of them.
func TestGroupCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	first := embedded.New(path)
	create(t, first.Client(), "taken")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	before := transactions(t, path)
	store := embedded.New(path)
	client := store.Client()
	must(client.AllDBs(t.Context()))
	var makers sync.WaitGroup
	for i := range 16 {
		makers.Go(func() {
			name := fmt.Sprintf("instance/%d", i)
			if err := client.CreateDB(t.Context(), name); err != nil {
				t.Error(err)
			}
			wantStatus(t, client.CreateDB(t.Context(), "taken"), 412)
			docs := []any{map[string]any{"_id": "a"}, map[string]any{"_id": "b"}, map[string]any{"_id": "c"}}
			if _, err := client.DB(name).BulkDocs(t.Context(), docs); err != nil {
				t.Error(err)
			}
			_, err := client.DB(name).Put(t.Context(), "a", map[string]any{})
			wantStatus(t, err, 409)
		})
	}
	makers.Wait()
	for i := range 16 {
		if s := stats(t, client.DB(fmt.Sprintf("instance/%d", i))); s.DocCount != 3 {
			t.Errorf("database %d has %d documents", i, s.DocCount)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if n := transactions(t, path) - before; n > 20 {
		t.Errorf("32 writes took %d transactions", n)
	} else {
		t.Logf("32 writes took %d transactions", n)
	}
}

// A caller that gives up is told what happened: an error of its context means
// that the document is not there, success that it is.
func TestCancelledWritesAreTruthful(t *testing.T) {
	db := newDB(t)
	random := rand.New(rand.NewPCG(3, 4))
	var writers sync.WaitGroup
	results := make([]error, 400)
	for i := range results {
		ctx, cancel := context.WithCancel(t.Context())
		writers.Go(func() {
			_, results[i] = db.Put(ctx, fmt.Sprint(i), map[string]any{})
		})
		for range random.IntN(3) { // somebody to cancel later
			writers.Go(cancel)
		}
		defer cancel()
	}
	writers.Wait()
	given := 0
	for i, err := range results {
		_, there := db.GetRev(t.Context(), fmt.Sprint(i))
		switch {
		case err == nil && there != nil:
			t.Errorf("%d was acknowledged: %v", i, there)
		case err != nil && !errors.Is(err, context.Canceled):
			t.Errorf("%d: %v", i, err)
		case err != nil && kivik.HTTPStatus(there) != 404:
			t.Errorf("%d was given up (%v), and is there", i, err)
		case err != nil:
			given++
		}
	}
	t.Logf("%d of %d were given up", given, len(results))
}
