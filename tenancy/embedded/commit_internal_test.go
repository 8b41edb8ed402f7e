// A test of the writer from within: a failure of bbolt cannot be had through the
// public door, nor a write that is held up.

package embedded

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"testing"
)

func TestFailureSparesTheGroup(t *testing.T) {
	store := New(filepath.Join(t.TempDir(), "gatehouse.db"))
	defer store.Close() //nolint:errcheck // the test reads what it wrote
	client := store.Client()
	if err := client.CreateDB(t.Context(), "db"); err != nil {
		t.Fatal(err)
	}

	// A first write holds the writer up until the others wait behind it.
	held, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- store.commit(t.Context(), func(*batch) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held

	broken := errors.New("the disk is broken")
	edit := func(id string, fail error) func(*batch) error {
		return func(b *batch) error {
			d, err := b.database("db")
			if err != nil {
				return err
			}
			if _, err := d.apply(&document{id: id, body: []byte("{}")}); err != nil {
				return err
			}
			return fail
		}
	}
	results := map[string]chan error{}
	queue := func(ctx context.Context, id string, fail error) {
		result := make(chan error, 1)
		results[id] = result
		waiting := len(store.queue)
		go func() { result <- store.commit(ctx, edit(id, fail)) }()
		for len(store.queue) == waiting { // a look, until it is in the queue
			runtime.Gosched()
			select {
			case err := <-result:
				t.Fatalf("%s ended early: %v", id, err)
			default:
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	queue(t.Context(), "a", nil)
	queue(t.Context(), "b", broken)
	queue(ctx, "c", nil)
	queue(t.Context(), "d", nil)
	cancel()
	if err := <-results["c"]; !errors.Is(err, context.Canceled) {
		t.Errorf("the withdrawn write: %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the first write: %v", err)
	}
	if err := <-results["b"]; !errors.Is(err, broken) {
		t.Errorf("the failing write: %v", err)
	}
	for _, id := range []string{"a", "d"} {
		if err := <-results[id]; err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for id, want := range map[string]bool{"a": true, "b": false, "c": false, "d": true} {
		if _, err := client.DB("db").GetRev(t.Context(), id); (err == nil) != want {
			t.Errorf("%s: %v", id, err)
		}
	}
}
