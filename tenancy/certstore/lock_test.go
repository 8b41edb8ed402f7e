// Locks: leases, renewal and takeover.

package certstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// leave writes a lock whose holder has gone.
func leave(t *testing.T, c *couch.Cluster, db, name string, lease time.Duration) {
	t.Helper()
	_, err := c.CreateDB(t.Context(), db)
	must(t, err)
	_, err = c.Put(t.Context(), db, "lock/"+name, map[string]any{"holder": "gone", "node": "elsewhere", "lease_ms": lease.Milliseconds()})
	must(t, err)
}

func try(t *testing.T, s *certstore.Store, name string) bool {
	t.Helper()
	ok, err := s.TryLock(t.Context(), name)
	must(t, err)
	return ok
}

// TestTakeover: a lock is taken over when one's own clock has run for the lease that
// the lock names, since its revision was first seen; not before, whatever the
// lease of one's own.
func TestTakeover(t *testing.T) {
	c := embeddedCluster(t)
	leave(t, c, "certs", "l", time.Minute)
	time1 := newClock()
	s := open(t, certstore.Options{Cluster: c, Now: time1.Now})
	if try(t, s, "l") {
		t.Fatal("a lock that was just seen was taken over")
	}
	time1.advance(59 * time.Second)
	if try(t, s, "l") {
		t.Fatal("taken over before its time")
	}
	// The holder lives after all: its renewal begins the time anew.
	lock := raw(t, c, "lock/l")
	put(t, c, "lock/l", lock)
	time1.advance(time.Second)
	if try(t, s, "l") {
		t.Fatal("taken over although it was renewed")
	}
	time1.advance(time.Minute)
	if !try(t, s, "l") {
		t.Fatal("not taken over after its time")
	}
	must(t, s.Unlock(t.Context(), "l"))
	if !try(t, s, "l") {
		t.Fatal("not free after it was taken over and released")
	}
}

// TestClocksDiffer: two front doors whose clocks are years apart.
func TestClocksDiffer(t *testing.T) {
	c := embeddedCluster(t)
	past, future := newClock(), newClock()
	future.advance(20 * 365 * 24 * time.Hour)
	a := open(t, certstore.Options{Cluster: c, Now: past.Now})
	b := open(t, certstore.Options{Cluster: c, Now: future.Now})
	must(t, a.Lock(t.Context(), "l"))
	if try(t, b, "l") {
		t.Error("the clock of another made a lock look old")
	}
	must(t, a.Unlock(t.Context(), "l"))
	must(t, b.Lock(t.Context(), "l"))
	if try(t, a, "l") {
		t.Error("the clock of another made a lock look old")
	}
	must(t, b.Unlock(t.Context(), "l"))
}

// TestRenewal: a lock is held beyond its lease as long as its holder lives, by one
// revision after the other.
func TestRenewal(t *testing.T) {
	c := embeddedCluster(t)
	const lease = 300 * time.Millisecond
	time1 := newClock()
	a := open(t, certstore.Options{Cluster: c, Lease: lease})
	b := open(t, certstore.Options{Cluster: c, Lease: lease, Now: time1.Now})
	must(t, a.Lock(t.Context(), "l"))
	must(t, a.Lock(t.Context(), "m"))
	for range 5 {
		if try(t, b, "l") || try(t, b, "m") {
			t.Fatal("two have the lock")
		}
		time1.advance(lease - time.Millisecond)
		l, m := raw(t, c, "lock/l")["_rev"], raw(t, c, "lock/m")["_rev"]
		wait(t, "both are renewed", func() error {
			if raw(t, c, "lock/l")["_rev"] == l || raw(t, c, "lock/m")["_rev"] == m {
				return errNotYet
			}
			return nil
		})
	}
	must(t, a.Unlock(t.Context(), "l"))
	must(t, a.Unlock(t.Context(), "m"))
}

// TestLongerLease: RenewLockLease makes others wait for longer, up to a limit.
func TestLongerLease(t *testing.T) {
	c := embeddedCluster(t)
	s := open(t, certstore.Options{Cluster: c, Lease: time.Minute})
	must(t, s.Lock(t.Context(), "l"))
	for _, step := range []struct{ ask, want time.Duration }{
		{5 * time.Minute, 5 * time.Minute}, {time.Second, time.Minute}, {30 * 24 * time.Hour, certstore.MaxLease},
	} {
		before := raw(t, c, "lock/l")["_rev"]
		must(t, s.RenewLockLease(t.Context(), "l", step.ask))
		lock := raw(t, c, "lock/l")
		if lock["lease_ms"] != float64(step.want.Milliseconds()) || lock["_rev"] == before {
			t.Errorf("%s: %v, want %s", step.ask, lock, step.want)
		}
	}
	must(t, s.Unlock(t.Context(), "l"))
	if err := s.RenewLockLease(t.Context(), "l", time.Minute); !errors.Is(err, certstore.ErrNotHeld) {
		t.Errorf("renewing what is not held: %v", err)
	}
}

// TestWaitIsBounded: who waits asks now and then, and not more.
func TestWaitIsBounded(t *testing.T) {
	c := embeddedCluster(t)
	leave(t, c, "certs", "l", time.Minute)
	s := open(t, certstore.Options{Cluster: c, Times: certstore.Times{Poll: 40 * time.Millisecond}})
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	before := c.Calls()
	if err := s.Lock(ctx, "l"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if n := c.Calls() - before; n > 2+400/30 {
		t.Errorf("%d requests in 10 intervals", n)
	}
}

// TestForeignLock: a document of a lock that says nothing of a lease keeps the lock for the
// longest one.
func TestForeignLock(t *testing.T) {
	c := embeddedCluster(t)
	_, err := c.CreateDB(t.Context(), "certs")
	must(t, err)
	_, err = c.Put(t.Context(), "certs", "lock/l", json.RawMessage(`{"lease_ms":-5}`))
	must(t, err)
	time1 := newClock()
	s := open(t, certstore.Options{Cluster: c, Now: time1.Now})
	try(t, s, "l")
	time1.advance(certstore.MaxLease - time.Second)
	if try(t, s, "l") {
		t.Error("taken over before its time")
	}
	time1.advance(time.Second)
	if !try(t, s, "l") {
		t.Error("not taken over after its time")
	}
}

// TestShorterLease: a lease that a reload shortens is renewed in its own time.
func TestShorterLease(t *testing.T) {
	c := embeddedCluster(t)
	s := open(t, certstore.Options{Cluster: c, Lease: 10 * time.Minute})
	must(t, s.Lock(t.Context(), "before")) // starts the goroutines
	must(t, s.Use(ring(t, 1), 150*time.Millisecond))
	must(t, s.Lock(t.Context(), "l"))
	first := raw(t, c, "lock/l")["_rev"]
	wait(t, "it is renewed", func() error {
		if raw(t, c, "lock/l")["_rev"] == first {
			return errNotYet
		}
		return nil
	})
	if err := s.Use(ring(t, 1), time.Hour); err == nil {
		t.Error("a lease of an hour")
	}
}
