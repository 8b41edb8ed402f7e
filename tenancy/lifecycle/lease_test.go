// Leases: an operation lives as long as its front door, and one that was stopped for
// a while does not go on with what others have taken over. Time is a bubble's own.

package lifecycle_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// bubbled opens a front door whose clock is that of the bubble.
func (f *fleet) bubbled(t testing.TB) *door {
	t.Helper()
	o, d := f.options(t)
	o.Now = time.Now
	d.Service = lifecycle.New(o)
	return d
}

// single opens a front door that does one thing after the other, so that what stops
// it stops all of it.
func (f *fleet) single(t testing.TB) *door {
	t.Helper()
	o, d := f.options(t)
	o.Parallel = 1
	d.Service = lifecycle.New(o)
	return d
}

// TestLeaseRenewed: an operation that takes ten leases is not taken over.
func TestLeaseRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := embeddedFleet(t)
		d, other := f.bubbled(t), f.bubbled(t)
		_, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, func(step string, done, _ int) {
			if step != "databases" || done != 1 {
				return
			}
			for range 10 {
				<-time.After(lifecycle.DefaultLease)
				_, err := other.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, nil)
				is(t, err, tenancy.ErrConflict, "an add of the same domain")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		f.whole(t, "alice.example.com")
		is(t, other.Destroy(t.Context(), "bob.example.com", nil), tenancy.ErrNotFound, "another")
		err = d.Destroy(t.Context(), "alice.example.com", func(step string, done, _ int) {
			if step != "databases" || done != 1 {
				return
			}
			for range 10 {
				<-time.After(lifecycle.DefaultLease)
				is(t, other.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrConflict, "a second destroy")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		f.whole(t)
	})
}

// TestLeaseLost: a front door that was stopped in an add for longer than its lease
// finds that another has made the instance, and leaves that alone.
func TestLeaseLost(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		step string
		done int
	}{{"databases", 0}, {"databases", 1}, {"databases", 16}, {"record", 0}} {
		f := embeddedFleet(t)
		d, other := f.single(t), f.door(t)
		var winner *tenancy.Instance
		_, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, func(step string, done, _ int) {
			if step == at.step && done == at.done && winner == nil {
				f.clock.advance(expiry)
				winner = other.add(t, "alice.example.com", lifecycle.Change{})
			}
		})
		// By the fence, or by the record that is there by then.
		if !errors.Is(err, tenancy.ErrConflict) && !errors.Is(err, tenancy.ErrExists) {
			t.Errorf("the add that was stopped: %v", err)
		}
		f.whole(t, "alice.example.com")
		if f.records(t)[winner.ID()] == nil {
			t.Error("the instance is not the one that was made meanwhile")
		}
	}
}

// TestDestroyLeaseLost: the same for a destroy: the instance that was made anew under
// its name is not the one that was to go.
func TestDestroyLeaseLost(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		step string
		done int
	}{{"flag", 0}, {"databases", 0}, {"databases", 1}, {"databases", 16}, {"record", 0}} {
		f := embeddedFleet(t)
		d, other := f.single(t), f.door(t)
		d.add(t, "alice.example.com", lifecycle.Change{})
		var winner *tenancy.Instance
		err := d.Destroy(t.Context(), "alice.example.com", func(step string, done, _ int) {
			if step != at.step || done != at.done || winner != nil {
				return
			}
			f.clock.advance(expiry)
			if err := other.Destroy(t.Context(), "alice.example.com", nil); err != nil {
				t.Error(err)
			}
			winner = other.add(t, "alice.example.com", lifecycle.Change{})
		})
		is(t, err, tenancy.ErrConflict, "the destroy that was stopped")
		f.whole(t, "alice.example.com")
		if f.records(t)[winner.ID()].State() != tenancy.Active {
			t.Error("the instance is not the one that was made meanwhile")
		}
	}
}

// TestRenewalAnswerLost: a renewal that was written, but not answered, does not look
// like another front door's.
func TestRenewalAnswerLost(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		losses := 0
		d.line.fails(loseRenewals(&losses))
		_, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, func(step string, done, _ int) {
			if step == "record" && done == 0 {
				f.clock.advance(lifecycle.DefaultLease - time.Second) // so that the fence renews
			}
		})
		// The fence fails with the lost answer; taking back finds the operation its own.
		is(t, err, tenancy.ErrUnavailable, "an add whose store does not answer")
		if losses != 1 {
			t.Fatalf("%d answers were lost", losses)
		}
		f.whole(t)
		d.add(t, "alice.example.com", lifecycle.Change{})
		f.whole(t, "alice.example.com")
	})
}
