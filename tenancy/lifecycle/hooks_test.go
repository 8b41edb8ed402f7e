// Hooks before a destroy: they may say no, and are asked once.

package lifecycle_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// refuse is a receiver that says no.
func refuse(lifecycle.Event) error {
	return fmt.Errorf("the accounts are in use: %w", lifecycle.ErrRefused)
}

// TestHookRefuses: an instance whose destroy is refused serves as before, with all that
// it has; the next destroy asks anew.
func TestHookRefuses(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		out := newOutside(lifecycle.BeforeDestroy)
		d := out.door(t, f)
		inst := d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
		out.replies(refuse)
		for range 2 {
			err := d.DestroyWith(t.Context(), "alice.example.com", lifecycle.DestroyOptions{Quarantine: ptr(expiry)}, nil)
			is(t, err, lifecycle.ErrRefused, "a destroy that a hook refuses")
			is(t, err, tenancy.ErrConflict, "a destroy that a hook refuses")
			f.whole(t, "alice.example.com")
			now := f.records(t)[inst.ID()]
			if now.State() != tenancy.Active || !reflect.DeepEqual(now.Attributes(), inst.Attributes()) {
				t.Errorf("the record is %v", now.Attributes())
			}
			if left, files := f.journal(t), out.domains(); len(left) != 0 || !slices.Equal(files, []string{"alice.example.com"}) {
				t.Errorf("in the journal is %q, files are of %q", left, files)
			}
			if len(f.quarantined(t)) != 0 {
				t.Error("its names are in quarantine")
			}
			f.clock.advance(expiry)
		}
		undone := 0
		for _, e := range f.audit(t) {
			if e.Verb == "destroy" && e.Outcome == "undone" && e.Error != "" {
				undone++
			}
		}
		if undone != 2 {
			t.Errorf("the audit has %d undone destroys: %+v", undone, f.audit(t))
		}
		var asked []lifecycle.Event
		out.replies(func(e lifecycle.Event) error { asked = append(asked, e); return nil })
		if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
			t.Fatal(err)
		}
		f.whole(t)
		if len(asked) != 1 || asked[0].Kind != lifecycle.BeforeDestroy || asked[0].Domain != "alice.example.com" || asked[0].Instance != inst.ID() || asked[0].Prefix != inst.Prefix() || !asked[0].Time.Equal(f.clock.now()) {
			t.Errorf("asked: %+v", asked)
		}
	})
}

// TestHookAway: a destroy whose hook does not answer has failed, with nothing dropped; the
// instance is not served, and the next destroy goes on.
func TestHookAway(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		out := newOutside(lifecycle.BeforeDestroy)
		d, other := out.door(t, f), out.door(t, f)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		out.replies(func(lifecycle.Event) error { return errAway })
		is(t, d.Destroy(t.Context(), "alice.example.com", nil), errAway, "a destroy whose hook does not answer")
		f.whole(t, "alice.example.com")
		op := f.operations(t)["destroy-"+inst.ID()]
		if f.records(t)[inst.ID()].State() != tenancy.Deleting || op.State != "failed" || op.Error == "" {
			t.Errorf("the instance is %s, the operation %+v", f.records(t)[inst.ID()].State(), op)
		}
		out.replies(nil)
		if err := other.Destroy(t.Context(), "alice.example.com", nil); err != nil {
			t.Fatal(err)
		}
		f.whole(t)
		if told := out.told(""); len(told) != 1 || told[0].ID != op.ID {
			t.Errorf("told: %+v", told)
		}
	})
}

// TestHookAskedOnce: once the answer is in the journal, which it is before the first drop,
// nobody asks again, wherever the front door dies.
func TestHookAskedOnce(t *testing.T) {
	t.Parallel()
	eachLine(t, func(t *testing.T, f *fleet) {
		out := newOutside(lifecycle.BeforeDestroy)
		faults := 0
		for n, answered := 0, -1; ; n++ {
			d, heir := out.door(t, f), out.door(t, f)
			d.add(t, "alice.example.com", lifecycle.Change{})
			before := len(out.told(""))
			if answered < 0 { // one that lives, to know when it is asked
				d.line.fails(nil)
				if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
					t.Fatal(err)
				}
				sent := d.line.sent()
				answered = slices.Index(sent, "HOOK /"+lifecycle.BeforeDestroy) + 1
				if answered == 0 || sent[answered] != "PUT /gatehouse/operations/"+f.destroyed(t) {
					t.Fatalf("the requests were %q", sent)
				}
				for i, request := range sent {
					if len(request) > 12 && request[:12] == "DELETE /cozy" && i < answered {
						t.Errorf("it was asked after a drop: %q", sent)
					}
				}
				n = answered // the next one dies after the note
				continue
			}
			d.line.dies(n, n%2 == 0)
			died := d.Destroy(t.Context(), "alice.example.com", nil)
			alive := len(d.line.sent()) <= n
			f.clock.advance(expiry)
			if err := heir.Destroy(t.Context(), "alice.example.com", nil); err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("dead after %d requests (%v): %v", n, died, err)
			}
			f.whole(t)
			if asked := len(out.told("")) - before; asked != 1 {
				t.Errorf("dead after %d requests, the hook was asked %d times", n, asked)
			}
			if alive || t.Failed() {
				break
			}
			faults++
			if f.kind != "embedded" {
				n += 4
			}
		}
		t.Logf("%s: %d faults", f.kind, faults)
		if faults < 3 || f.kind == "embedded" && faults < len(provision.Doctypes) {
			t.Errorf("there were only %d faults", faults)
		}
	})
}

// destroyed is the operation of the last destroy in the audit.
func (f *fleet) destroyed(t testing.TB) string {
	t.Helper()
	for id, op := range f.operations(t) {
		if op.Verb == "destroy" {
			return id
		}
	}
	return ""
}

// TestHookRefusesHalf: a hook that says no to the rest of a destroy, which has dropped
// databases already, gets an instance that is blocked, not one served half-empty.
func TestHookRefusesHalf(t *testing.T) {
	t.Parallel()
	eachLine(t, func(t *testing.T, f *fleet) {
		out := newOutside(lifecycle.BeforeDestroy)
		out.replies(refuse)
		d, heir := f.door(t), out.door(t, f)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		d.failDrops(3)
		is(t, d.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrUnavailable, "a destroy whose store fails")
		is(t, heir.Destroy(t.Context(), "alice.example.com", nil), lifecycle.ErrRefused, "the rest of it")
		now := f.records(t)[inst.ID()]
		if now.State() != tenancy.Blocked || now.BlockingReason() != tenancy.ReasonDeletionFailed || now.Has("deleting") {
			t.Errorf("the instance is %v", now.Attributes())
		}
		if op := f.operations(t)["destroy-"+inst.ID()]; op.State != "undone" {
			t.Errorf("operation: %+v", op)
		}
		out.replies(nil)
		if err := heir.Destroy(t.Context(), "alice.example.com", nil); err != nil {
			t.Fatal(err)
		}
		f.whole(t)
	})
}
