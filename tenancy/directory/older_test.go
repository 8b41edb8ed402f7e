// Older revisions in the feed: a feed that rewinds, and a store that has gone back.

package directory_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// TestOlderRevision: where the feed shows an older revision the store is asked, and
// its word is taken: the same one as before, the older one, or none at all.
func TestOlderRevision(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFeed(newDoc("1", "5-a", "alice.example.com", with("blocked", true)))
		now, down := newDoc("1", "5-a", "alice.example.com", with("blocked", true)), false
		asked := 0
		var mu sync.Mutex
		set := func(fn func()) { mu.Lock(); defer mu.Unlock(); fn() }
		d, _ := follow(t, directory.Options{Cluster: store, Read: func(_ context.Context, id string) (json.RawMessage, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			switch {
			case down:
				return nil, tenancy.Unavailablef("down")
			case now == nil:
				return nil, &couch.Error{Op: "get", Status: 404}
			}
			return json.Marshal(now)
		}})
		state := func(when, want string) {
			t.Helper()
			got := "unknown"
			if m, ok := d.Resolve("alice.example.com", directory.Nested); ok {
				got = m.Entry.Rev() + " " + m.Entry.State().String()
			}
			if got != want {
				t.Errorf("%s: it is %s, want %s", when, got, want)
			}
		}
		store.put(newDoc("1", "3-b", "alice.example.com"))
		synctest.Wait()
		state("after a rewind", "5-a blocked")
		set(func() {
			if asked != 1 {
				t.Errorf("the store was asked %d times", asked)
			}
			down, now = true, newDoc("1", "4-c", "alice.example.com")
		})
		store.put(newDoc("1", "4-c", "alice.example.com"))
		synctest.Wait()
		state("while the store cannot be asked", "5-a blocked")
		set(func() { down = false })
		elapse(time.Minute)
		state("after the newer one of two in conflict was deleted", "4-c active")
		set(func() { now = nil })
		store.put(newDoc("1", "2-d", "alice.example.com"))
		synctest.Wait()
		state("after all are deleted", "unknown")
	})
}
