// Locks that are lost, given up, or released at the end.

package certstore_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// TestLoss: a holder that was taken for dead learns it, and leaves the lock of the
// other alone.
func TestLoss(t *testing.T) {
	t.Run("at the renewal", func(t *testing.T) {
		c := embeddedCluster(t)
		log, logs := logged()
		s := open(t, certstore.Options{Cluster: c, Lease: 100 * time.Millisecond, Logger: log})
		must(t, s.Lock(t.Context(), "l"))
		rob(t, c)
		wait(t, "the loss is logged", func() error {
			if logs.FilterMessageSnippet("was lost to another process").Len() == 0 {
				return errNotYet
			}
			return nil
		})
		if err := s.RenewLockLease(t.Context(), "l", 0); !errors.Is(err, certstore.ErrLost) {
			t.Errorf("renew: %v", err)
		}
		lostUnlock(t, s, c)
	})
	t.Run("at the release", func(t *testing.T) {
		c := embeddedCluster(t)
		s := open(t, certstore.Options{Cluster: c})
		must(t, s.Lock(t.Context(), "l"))
		rob(t, c)
		lostUnlock(t, s, c)
	})
	t.Run("at a renewal of the lease", func(t *testing.T) {
		c := embeddedCluster(t)
		s := open(t, certstore.Options{Cluster: c})
		must(t, s.Lock(t.Context(), "l"))
		rob(t, c)
		if err := s.RenewLockLease(t.Context(), "l", 0); !errors.Is(err, certstore.ErrLost) {
			t.Errorf("renew: %v", err)
		}
		lostUnlock(t, s, c)
	})
	t.Run("to nobody", func(t *testing.T) {
		c := embeddedCluster(t)
		s := open(t, certstore.Options{Cluster: c})
		must(t, s.Lock(t.Context(), "l"))
		_, err := c.Delete(t.Context(), "certs", "lock/l", raw(t, c, "lock/l")["_rev"].(string))
		must(t, err)
		if err := s.Unlock(t.Context(), "l"); !errors.Is(err, certstore.ErrLost) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("unlock: %v", err)
		}
	})
}

// rob takes a lock over, as another process that has waited for the lease. Its holder
// may renew it in between.
func rob(t *testing.T, c *couch.Cluster) {
	t.Helper()
	wait(t, "the lock is robbed", func() error {
		lock := raw(t, c, "lock/l")
		lock["holder"] = "another"
		_, err := c.Put(t.Context(), "certs", "lock/l", lock)
		return err
	})
}

func lostUnlock(t *testing.T, s *certstore.Store, c *couch.Cluster) {
	t.Helper()
	if err := s.Unlock(t.Context(), "l"); !errors.Is(err, certstore.ErrLost) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unlock: %v", err)
	}
	if lock := raw(t, c, "lock/l"); lock["holder"] != "another" {
		t.Errorf("the lock of the other is gone: %v", lock)
	}
	if err := s.Unlock(t.Context(), "l"); !errors.Is(err, certstore.ErrNotHeld) {
		t.Errorf("unlock again: %v", err)
	}
}

// TestCloseReleases: an orderly end makes nobody wait for a lease, and what certmagic
// still unlocks afterwards is unlocked.
func TestCloseReleases(t *testing.T) {
	c := embeddedCluster(t)
	a, b := openUnclosed(t, certstore.Options{Cluster: c}), open(t, certstore.Options{Cluster: c})
	must(t, a.Lock(t.Context(), "l"))
	must(t, a.Lock(t.Context(), "m"))
	must(t, a.Unlock(t.Context(), "m"))
	must(t, a.Close())
	must(t, a.Close())
	if !try(t, b, "l") {
		t.Error("a closed store has the lock")
	}
	must(t, a.Unlock(t.Context(), "l"))
	if err := a.Unlock(t.Context(), "l"); !errors.Is(err, certstore.ErrNotHeld) {
		t.Errorf("unlock again: %v", err)
	}
	for name, err := range map[string]error{
		"store": a.Store(t.Context(), "k", nil), "delete": a.Delete(t.Context(), "k"), "lock": a.Lock(t.Context(), "l"),
	} {
		if !errors.Is(err, certstore.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	must(t, b.Unlock(t.Context(), "l"))
}

// TestCloseEndsWaiting: also those who wait for a lock.
func TestCloseEndsWaiting(t *testing.T) {
	c := embeddedCluster(t)
	leave(t, c, "certs", "l", time.Minute)
	s := openUnclosed(t, certstore.Options{Cluster: c})
	done := make(chan error, 1)
	go func() { done <- s.Lock(context.Background(), "l") }()
	before := c.Calls()
	wait(t, "somebody waits", func() error {
		if c.Calls() < before+4 {
			return errNotYet
		}
		return nil
	})
	must(t, s.Close())
	if err := <-done; !errors.Is(err, certstore.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestUnsureLocks: what became of a request whose answer was lost.
func TestUnsureLocks(t *testing.T) {
	g := newGate(t)
	s := open(t, certstore.Options{Cluster: g.cluster(), Database: g.db(), Lease: time.Minute, Times: certstore.Times{Down: time.Nanosecond}})
	other := open(t, certstore.Options{Cluster: g.store.Cluster, Database: g.db(), Lease: time.Minute})
	must(t, s.Lock(t.Context(), "warm"))
	must(t, s.Unlock(t.Context(), "warm"))
	isLock := func(r *http.Request) bool { return writes(r, "lock") }

	g.losing(once(isLock))
	if err := s.Lock(t.Context(), "taken"); !errors.Is(err, tenancy.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
	wait(t, "a lock that nobody has is free", func() error {
		if !try(t, other, "taken") {
			return errNotYet
		}
		return nil
	})

	must(t, s.Lock(t.Context(), "renewed"))
	g.losing(once(isLock))
	if err := s.RenewLockLease(t.Context(), "renewed", time.Minute); !errors.Is(err, tenancy.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
	must(t, s.RenewLockLease(t.Context(), "renewed", time.Minute))
	g.losing(once(isLock))
	if err := s.Unlock(t.Context(), "renewed"); !errors.Is(err, tenancy.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
	must(t, s.Unlock(t.Context(), "renewed"))
	if !try(t, other, "renewed") {
		t.Error("the lock is still there")
	}
}

// TestGivenUpWhileTaking: a caller who gives up in the middle leaves no lock; or, where
// the write comes later than its undoing, one that ends with its lease.
func TestGivenUpWhileTaking(t *testing.T) {
	g := newGate(t)
	s := open(t, certstore.Options{Cluster: g.cluster(), Database: g.db(), Lease: 10 * time.Second})
	must(t, s.Lock(t.Context(), "warm"))
	must(t, s.Unlock(t.Context(), "warm"))
	ctx, cancel := context.WithCancel(t.Context())
	first := once(func(r *http.Request) bool { return writes(r, "lock") })
	g.losing(func(r *http.Request) bool {
		if first(r) {
			cancel()
			return true
		}
		return false
	})
	if err := s.Lock(ctx, "l"); !errors.Is(err, context.Canceled) && !errors.Is(err, tenancy.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
	wait(t, "the lock is free", func() error {
		if !try(t, s, "l") {
			return errNotYet
		}
		return nil
	})
}
