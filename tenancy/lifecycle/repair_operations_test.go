// Repair of operations: each verb that can be left in the journal, and what is made of it.

package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// stopped is an operation of an instance as a dead front door leaves it.
func (f *fleet) stopped(verb string, inst *tenancy.Instance) lifecycle.Operation {
	return lifecycle.Operation{
		ID: verb + "-" + inst.ID(), Verb: verb, State: "running", Domain: inst.Domain(), Instance: inst.ID(), Prefix: inst.Prefix(),
		Names: []string{inst.Domain()}, Node: "dead", Started: f.until(-time.Hour), Lease: f.until(-time.Minute),
	}
}

// TestRepairOfAdd: one without its record is taken back: claims, databases and files; a
// live one is nobody's business.
func TestRepairOfAdd(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		out := newOutside()
		d := out.door(t, f)
		if err := d.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		inst := tenancy.NewInstance()
		inst.Set("_id", "0123")
		inst.Set("domain", "alice.example.com")
		inst.Set("prefix", domain(t, "alice.example.com").Prefix())
		op := f.stopped("add", inst)
		op.Lease = f.until(time.Minute)
		out.files["alice.example.com"] = []string{"/Photos"}
		f.leave(t, lifecycle.Claim{ID: "alice.example.com", Instance: "0123", Operation: op.ID, Domain: inst.Domain()}, op)
		for _, doctype := range provision.Doctypes[:5] {
			if _, err := f.store.CreateDB(t.Context(), provision.DatabaseName(inst.Prefix(), doctype)); err != nil {
				t.Fatal(err)
			}
		}
		f.finds(t, d)
		f.clock.advance(expiry + time.Minute)
		f.mends(t, d, lifecycle.FoundOperation)
		f.whole(t)
		if len(out.domains()) != 0 {
			t.Errorf("files are left: %q", out.domains())
		}
		for _, e := range f.audit(t) {
			if e.Verb != "add" || e.Outcome != "undone" || e.Node != d.name {
				t.Errorf("audit: %+v", e)
			}
		}
	})
}

// TestRepairOfAddDone: one whose record is there is brought to its end: apps and hooks.
func TestRepairOfAddDone(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	out := newOutside(lifecycle.AfterAdd, lifecycle.SendLink)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	op := f.stopped("add", inst)
	op.Apps, op.SendLink = []string{"drive", "photos"}, true
	op.Steps = []lifecycle.Step{{Name: "record"}, {Name: "app photos"}, {Name: "hook " + lifecycle.AfterAdd}}
	f.leave(t, lifecycle.Claim{}, op)
	heir := out.door(t, f)
	f.mends(t, heir, lifecycle.FoundOperation)
	f.more = map[string]int{"io-cozy-apps": 1, "io-cozy-permissions": 1} // photos were installed already
	f.whole(t, "alice.example.com")
	out.until(t, "the link", func() bool { return len(out.told("")) == 1 })
	if told := out.told(""); told[0].Kind != lifecycle.SendLink || told[0].Link != lifecycle.Link(inst) {
		t.Errorf("told: %+v", told)
	}
	if err := heir.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if left := f.journal(t); len(left) != 0 {
		t.Errorf("left in the journal: %q", left)
	}
}

// TestRepairOfDestroy: it is brought to its end, with the record there or gone.
func TestRepairOfDestroy(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		for _, state := range []string{"running", "failed"} {
			for _, gone := range []bool{false, true} {
				inst := d.add(t, "alice.example.com", lifecycle.Change{})
				op := f.stopped("destroy", inst)
				op.State, op.Databases = state, len(provision.Doctypes)
				f.leave(t, lifecycle.Claim{}, op)
				if gone {
					for _, doctype := range provision.Doctypes {
						if _, err := f.store.DestroyDB(t.Context(), provision.DatabaseName(inst.Prefix(), doctype)); err != nil {
							t.Fatal(err)
						}
					}
					if _, err := f.store.Delete(t.Context(), provision.InstancesDB, inst.ID(), inst.Rev()); err != nil {
						t.Fatal(err)
					}
				} else if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(true)}); err != nil {
					t.Fatal(err)
				}
				f.mends(t, d, lifecycle.FoundOperation)
				f.whole(t)
			}
		}
	})
}

// TestRepairOfModify: the claims of a change of names that died are given back, but not
// that on a name that the record has.
func TestRepairOfModify(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
		op := f.stopped("modify", inst)
		op.Names = []string{"al.example.com", "free.example.com"}
		if err := f.unclaim(t, "al.example.com"); err != nil {
			t.Fatal(err)
		}
		f.leave(t, lifecycle.Claim{ID: "al.example.com", Instance: inst.ID(), Operation: op.ID, Domain: inst.Domain()}, op)
		f.leave(t, lifecycle.Claim{ID: "free.example.com", Instance: inst.ID(), Operation: op.ID, Domain: inst.Domain()}, lifecycle.Operation{})
		f.mends(t, d, lifecycle.FoundOperation)
		f.whole(t, "alice.example.com")
	})
}

// TestRepairOfSmallOnes: those that nobody has to finish are closed.
func TestRepairOfSmallOnes(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	for _, verb := range []string{"passphrase", "sessions", "apps"} {
		f.leave(t, lifecycle.Claim{}, f.stopped(verb, inst))
		var seen []string
		err := d.Operations(t.Context(), false, func(op lifecycle.Operation) error {
			seen = append(seen, op.Verb)
			return nil
		})
		if err != nil || !slices.Equal(seen, []string{verb}) {
			t.Errorf("the journal shows %q (%v)", seen, err)
		}
		f.mends(t, d, lifecycle.FoundOperation)
		if left := f.journal(t); len(left) != 0 {
			t.Errorf("left in the journal: %q", left)
		}
	}
	f.whole(t, "alice.example.com")
}

// TestRepairOfHook: an event that was not delivered is delivered, and stays where its
// receiver is away still.
func TestRepairOfHook(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	out := newOutside(lifecycle.AfterAdd)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	op := f.stopped("hook", inst)
	op.State, op.Event, op.Error = "failed", lifecycle.AfterAdd, errAway.Error()
	f.leave(t, lifecycle.Claim{}, op)
	heir := out.door(t, f)
	out.replies(func(lifecycle.Event) error { return errAway })
	found := f.findings(t, heir, lifecycle.RepairOptions{})
	if len(found) != 1 || found[0].Mended || found[0].Error == "" || !slices.Equal(f.journal(t), []string{op.ID}) {
		t.Fatalf("found %+v; the journal has %q", found, f.journal(t))
	}
	out.replies(nil)
	f.mends(t, heir, lifecycle.FoundOperation)
	if told := out.told(lifecycle.AfterAdd); len(told) != 1 || told[0].ID != op.ID || told[0].Instance != inst.ID() {
		t.Errorf("told: %+v", told)
	}
	if left := f.journal(t); len(left) != 0 {
		t.Errorf("left in the journal: %q", left)
	}
}
