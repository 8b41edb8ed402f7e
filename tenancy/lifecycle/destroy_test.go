// Destroy: the end of an instance, and the ways in which it can be met half done.

package lifecycle_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// TestDestroy: nothing is left, also not what a stack has added, and the name is free
// for the next, again and again.
func TestDestroy(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d, other := f.door(t), f.door(t)
		d.add(t, "bob.example.com", lifecycle.Change{})
		for range 2 {
			inst := d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
			if f.kind != testkit.KindPouchDB { // in memory its list cannot tell such a database's name
				if _, err := f.store.CreateDB(t.Context(), inst.Prefix()+"/io-cozy-notes"); err != nil {
					t.Fatal(err)
				}
			}
			before := other.cluster.Calls()
			if err := other.Destroy(t.Context(), "AL.example.com", nil); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: one destroy took %d requests", f.kind, other.cluster.Calls()-before)
			f.whole(t, "bob.example.com")
			if op := f.operations(t)["destroy-"+inst.ID()]; op.State != "done" || op.Node != other.name {
				t.Errorf("operation: %+v", op)
			}
			if !slices.Contains(other.dir.removed, inst.ID()) {
				t.Error("the directory of the front door that did it has not heard")
			}
			is(t, other.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrNotFound, "a destroy of what is gone")
		}
	})
}

// TestDestroyOfStack: an instance that a stack made, without claims and journal.
func TestDestroyOfStack(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	// Names of databases that begin alike are another's.
	f.stackMade(t, d, "0123", `{"domain":"alice.example.co","locale":"fr"}`)
	for _, name := range []string{"alice-example-co/io-cozy-files", "alice-example-com/io-cozy-files"} {
		if _, err := f.store.CreateDB(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Destroy(t.Context(), "alice.example.co", nil); err != nil {
		t.Fatal(err)
	}
	if got := f.databases(t); !slices.Equal(got, []string{"alice-example-com/io-cozy-files"}) || len(f.records(t)) != 0 {
		t.Errorf("left are %q and %v", got, f.records(t))
	}
	if op := f.operations(t)["destroy-0123"]; op.Databases != 1 {
		t.Errorf("the journal says that there were %d databases, want 1", op.Databases)
	}
}

// TestDestroySparesShared: a broken record that says that the shared databases are
// its own does not take them along.
func TestDestroySparesShared(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"global", "gatehouse", "secrets"} {
		f := embeddedFleet(t)
		d := f.door(t)
		f.stackMade(t, d, "0123", `{"domain":"alice.example.com","prefix":"`+prefix+`"}`)
		is(t, d.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrConflict, "the prefix "+prefix)
		if len(f.records(t)) != 1 {
			t.Errorf("%s: the records are gone", prefix)
		}
	}
}

// TestDestroyTwice: while a destroy is under way, a second one and a freeing are
// refused, on this front door and on others, and so is an add of the name.
func TestDestroyTwice(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d, other := f.door(t), f.door(t)
	d.add(t, "alice.example.com", lifecycle.Change{})
	inside, done := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		var once sync.Once
		result <- d.Destroy(context.WithoutCancel(t.Context()), "alice.example.com", func(step string, n, _ int) {
			if step == "databases" && n > 0 {
				once.Do(func() {
					close(inside)
					<-done
				})
			}
		})
	}()
	<-inside
	for _, door := range []*door{d, other} {
		is(t, door.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrConflict, "a second destroy on "+door.name)
		_, err := door.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(false)})
		is(t, err, tenancy.ErrConflict, "freeing on "+door.name)
		_, err = door.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, nil)
		is(t, err, tenancy.ErrExists, "an add on "+door.name)
		inst, err := door.Get(t.Context(), "alice.example.com")
		if err != nil || inst.State() != tenancy.Deleting {
			t.Errorf("the instance is %v (%v), want deleting", inst, err)
		}
	}
	close(done)
	if err := <-result; err != nil {
		t.Error(err)
	}
	f.whole(t)
}

// TestDestroyTogether: of two at the same moment one does it, and the other is told.
func TestDestroyTogether(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		doors := []*door{f.door(t), f.door(t)}
		doors[0].add(t, "alice.example.com", lifecycle.Change{})
		errs := make([]error, len(doors))
		together(doors, func(i int, d *door) { errs[i] = d.Destroy(t.Context(), "alice.example.com", nil) })
		for i, err := range errs {
			if err != nil {
				if errs[1-i] != nil {
					t.Errorf("nobody did it: %v", errs)
				}
				if !refused(err) {
					is(t, err, tenancy.ErrNotFound, "the other one")
				}
			}
		}
		f.whole(t)
	})
}

// failDrops lets the dropping of databases fail after the first n.
func (d *door) failDrops(n int) {
	var mu sync.Mutex
	drops := 0
	d.line.fails(func(_ int, r *http.Request) verdict {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodDelete && strings.Count(strings.Trim(r.URL.Path, "/"), "/") == 1 && strings.HasPrefix(r.URL.Path, "/cozy") {
			if drops++; drops > n {
				return lose
			}
		}
		return pass
	})
}

// TestDestroyResumed: one that failed is finished by the next, at once, since the
// journal says that nobody is at it.
func TestDestroyResumed(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		d, other := f.door(t), f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		d.failDrops(3)
		is(t, d.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrUnavailable, "a destroy whose store fails")
		op := f.operations(t)["destroy-"+inst.ID()]
		if op.State != "failed" || op.Error == "" || op.Databases != len(provision.Doctypes) {
			t.Errorf("operation: %+v", op)
		}
		if state := f.records(t)[inst.ID()].State(); state != tenancy.Deleting {
			t.Errorf("the instance is %s, want deleting", state)
		}
		if err := other.Destroy(t.Context(), "alice.example.com", nil); err != nil {
			t.Fatal(err)
		}
		f.whole(t)
	})
}

// TestDestroyNotLoaded: a front door that does not know the instances yet takes none
// away, neither when asked nor by going on with what another has begun.
func TestDestroyNotLoaded(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		d, other := f.door(t), f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		d.dir.loading.Store(true)
		is(t, d.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrUnavailable, "a destroy while nothing is loaded")
		f.whole(t, "alice.example.com")
		if state := f.records(t)[inst.ID()].State(); state == tenancy.Deleting {
			t.Error("it is being deleted")
		}

		d.dir.loading.Store(false)
		d.failDrops(3)
		is(t, d.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrUnavailable, "a destroy whose store fails")
		d.dir.loading.Store(true)
		left := f.databases(t)
		d.TendOnce(t.Context())
		_, err := d.Repair(t.Context(), lifecycle.RepairOptions{}, nil, nil)
		is(t, err, tenancy.ErrUnavailable, "a repair while nothing is loaded")
		if now := f.databases(t); !slices.Equal(now, left) {
			t.Errorf("databases are %q, want %q", now, left)
		}
		if err := other.Destroy(t.Context(), "alice.example.com", nil); err != nil {
			t.Fatal(err)
		}
		f.whole(t)
	})
}

// TestDestroyFreed: taking the flag off a deletion that failed half way leaves the
// instance blocked, with the reason; it can be destroyed again.
func TestDestroyFreed(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		for dropped, want := range map[int]tenancy.State{0: tenancy.Active, 3: tenancy.Blocked} {
			d, other := f.door(t), f.door(t)
			inst := d.add(t, "alice.example.com", lifecycle.Change{})
			d.failDrops(dropped)
			is(t, d.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrUnavailable, "a destroy whose store fails")
			foreseen, _, err := other.Preview(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(false)})
			if err != nil {
				t.Fatal(err)
			}
			freed, err := other.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(false)})
			if err != nil {
				t.Fatal(err)
			}
			if foreseen.State() != freed.State() || foreseen.BlockingReason() != freed.BlockingReason() {
				t.Errorf("it was foreseen as %s %s, and is %s %s", foreseen.State(), foreseen.BlockingReason(), freed.State(), freed.BlockingReason())
			}
			if freed.State() != want || freed.Has("deleting") {
				t.Errorf("with %d databases gone the instance is %s, want %s", dropped, freed.State(), want)
			}
			if want == tenancy.Blocked && freed.BlockingReason() != tenancy.ReasonDeletionFailed {
				t.Errorf("the reason is %s", freed.BlockingReason())
			}
			if op := f.operations(t)["destroy-"+inst.ID()]; op.State != "undone" {
				t.Errorf("operation: %+v", op)
			}
			if err := other.Destroy(t.Context(), "alice.example.com", nil); err != nil {
				t.Fatalf("destroying it again: %v", err)
			}
			f.whole(t)
		}
	})
}

// TestDestroyForeignFlag: a flag that was set without a journal is somebody else's
// deletion, and left alone until it is taken off.
func TestDestroyForeignFlag(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(true)}); err != nil {
			t.Fatal(err)
		}
		is(t, d.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrConflict, "a flag without a journal")
		f.whole(t, "alice.example.com")
		freed, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(false)})
		if err != nil || freed.State() != tenancy.Active {
			t.Fatalf("freed: %v (%v)", freed, err)
		}
		if err := d.Destroy(t.Context(), inst.Domain(), nil); err != nil {
			t.Fatal(err)
		}
		f.whole(t)
	})
}
