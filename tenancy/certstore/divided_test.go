// Locks in a cluster that was divided.

package certstore_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// divide writes a second revision of a lock, as the other half of a divided cluster
// took it, through what a replication uses.
func divide(t *testing.T, address, user, password, db, rev, holder string) {
	t.Helper()
	body := fmt.Sprintf(`{"new_edits":false,"docs":[{"_id":"lock/l","_rev":%q,"holder":%q,"node":"other half","lease_ms":60000}]}`, rev, holder)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		strings.TrimSuffix(address, "/")+"/"+url.PathEscape(db)+"/_bulk_docs", strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	must(t, err)
	_ = resp.Body.Close() // the status says it all
	if resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.Status)
	}
}

// TestDividedCluster: of two halves that gave a lock away, one holder keeps it and
// the other learns that it has lost, whichever revision wins.
func TestDividedCluster(t *testing.T) {
	check := func(t *testing.T, store testkit.NamedStore, address, user, password string) {
		for name, c := range map[string]struct {
			rev  string // the other half's first revision
			lost bool
		}{
			"the other wins":  {"1-ffffffffffffffffffffffffffffffff", true},
			"the other loses": {"1-00000000000000000000000000000000", false},
		} {
			t.Run(name, func(t *testing.T) {
				db := store.DB("certificates-" + strings.ReplaceAll(name, " ", "-"))
				log, logs := logged()
				s := open(t, certstore.Options{Cluster: store.Cluster, Database: db, Lease: 200 * time.Millisecond, Logger: log})
				// The other half's lock comes in before this one is confirmed, or
				// with a renewal; here it is before the first renewal.
				must(t, s.Store(t.Context(), "warm", nil))
				ok, err := s.TryLock(t.Context(), "l")
				if err != nil || !ok {
					t.Fatal(ok, err)
				}
				rev := c.rev
				if c.lost { // longer than what this one has by then
					rev = "999" + strings.TrimPrefix(rev, "1")
				}
				divide(t, address, user, password, db, rev, "other half")
				if !c.lost {
					wait(t, "the revision that lost is cleared away", func() error {
						doc, err := store.Cluster.GetWithConflicts(t.Context(), db, "lock/l")
						must(t, err)
						if strings.Contains(string(doc), "_conflicts") {
							return errNotYet
						}
						return nil
					})
					must(t, s.Unlock(t.Context(), "l"))
					if _, err := store.Cluster.Get(t.Context(), db, "lock/l"); !errors.Is(err, couch.ErrNotFound) {
						t.Errorf("after the release: %v", err)
					}
					return
				}
				wait(t, "the loss is logged", func() error {
					if logs.FilterMessageSnippet("was lost to another process").Len() == 0 {
						return errNotYet
					}
					return nil
				})
				if err := s.Unlock(t.Context(), "l"); !errors.Is(err, certstore.ErrLost) {
					t.Errorf("unlock: %v", err)
				}
				doc, err := store.Cluster.Get(t.Context(), db, "lock/l")
				if err != nil || !strings.Contains(string(doc), "other half") {
					t.Errorf("the other's lock is gone: %s, %v", doc, err)
				}
			})
		}
	}
	t.Run("PouchDB", func(t *testing.T) {
		check(t, testkit.PouchDBStore(t), testkit.SharedPouchDB(t).URL(), "", "")
	})
	t.Run("CouchDB", func(t *testing.T) {
		address, user, password, ok := testkit.CouchDB(t)
		if !ok {
			t.Skipf("set %s", testkit.CouchDBVariable)
		}
		store, _ := testkit.CouchDBStore(t)
		check(t, store, address, user, password)
	})
}

// TestDividedAtConfirmation: a holder that finds at once that the other half's
// revision wins has not got the lock.
func TestDividedAtConfirmation(t *testing.T) {
	g := newGate(t)
	s := open(t, certstore.Options{Cluster: g.cluster(), Database: g.db(), Lease: time.Minute})
	must(t, s.Store(t.Context(), "warm", nil))
	var done atomic.Bool
	g.first(func(r *http.Request) {
		path, _ := url.PathUnescape(r.URL.EscapedPath())
		if r.Method == http.MethodGet && strings.HasSuffix(path, "/lock/l") && done.CompareAndSwap(false, true) {
			divide(t, testkit.SharedPouchDB(t).URL(), "", "", g.db(), "9-ffffffffffffffffffffffffffffffff", "other half")
		}
	})
	if try(t, s, "l") {
		t.Error("both halves have the lock")
	}
	if err := s.Unlock(t.Context(), "l"); !errors.Is(err, certstore.ErrNotHeld) {
		t.Errorf("unlock: %v", err)
	}
}
