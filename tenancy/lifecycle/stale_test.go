// Stale: what dead front doors and stacks left behind, and who may be harmed by it.

package lifecycle_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// leave writes a claim, and an operation, as a front door would have left them.
func (f *fleet) leave(t testing.TB, claim lifecycle.Claim, op lifecycle.Operation) {
	t.Helper()
	if claim.ID != "" {
		if _, err := f.store.Put(t.Context(), provision.ClaimsDB, claim.ID, claim); err != nil {
			t.Fatal(err)
		}
	}
	if op.ID == "" {
		return
	}
	if raw, err := f.store.Get(t.Context(), provision.OperationsDB, op.ID); err == nil {
		var present lifecycle.Operation
		if err := json.Unmarshal(raw, &present); err != nil {
			t.Fatal(err)
		}
		op.Rev = present.Rev
	}
	if _, err := f.store.Put(t.Context(), provision.OperationsDB, op.ID, op); err != nil {
		t.Fatal(err)
	}
}

// until is a lease that ends after so much time.
func (f *fleet) until(d time.Duration) string {
	return f.clock.now().Add(d).Format(time.RFC3339Nano)
}

// TestStaleClaimOfAlias: a claim on a name that its instance does not have is nobody's,
// whatever unfinished operations the instance has; and the instance is not touched.
func TestStaleClaimOfAlias(t *testing.T) {
	t.Parallel()
	for what, op := range map[string]lifecycle.Operation{
		"an add that wrote its document and died": {Verb: "add", State: "running"},
		"an add that is marked as failed":         {Verb: "add", State: "failed"},
		"a destroy that failed":                   {Verb: "destroy", State: "failed"},
		"a destroy that died":                     {Verb: "destroy", State: "running"},
		"a change of names that died":             {Verb: "modify", State: "running"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := embeddedFleet(t)
			d := f.door(t)
			inst := d.add(t, "alice.example.com", lifecycle.Change{})
			op.ID, op.Instance, op.Domain, op.Prefix = op.Verb+"-"+inst.ID(), inst.ID(), inst.Domain(), inst.Prefix()
			op.Names, op.Lease = []string{"alice.example.com", "free.example.com"}, f.until(-time.Minute)
			f.leave(t, lifecycle.Claim{ID: "free.example.com", Instance: inst.ID(), Operation: op.ID, Domain: inst.Domain()}, op)
			d.add(t, "bob.example.com", lifecycle.Change{Aliases: &[]string{"free.example.com"}})
			f.whole(t, "alice.example.com", "bob.example.com")
			if state := f.records(t)[inst.ID()].State(); state != tenancy.Active {
				t.Errorf("the other instance is %s", state)
			}
		})
	}
}

// TestStaleClaimIsOwn: an instance gets back a name that a dead front door claimed for it.
func TestStaleClaimIsOwn(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	for _, op := range []string{"add-" + inst.ID(), "modify-" + inst.ID(), "modify-of-old"} {
		f.leave(t, lifecycle.Claim{ID: "al.example.com", Instance: inst.ID(), Operation: op, Domain: inst.Domain()}, lifecycle.Operation{})
		for _, aliases := range [][]string{{"al.example.com"}, {}} {
			if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Aliases: &aliases}); err != nil {
				t.Fatalf("claimed by %s: %v", op, err)
			}
			f.whole(t, "alice.example.com")
		}
	}
}

// TestStaleClaimWithoutOperation: a claim whose operation and instance are gone, as
// after a stack's destroy, is in nobody's way.
func TestStaleClaimWithoutOperation(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		if err := d.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.leave(t, lifecycle.Claim{ID: "alice.example.com", Instance: "gone", Operation: "add-gone", Domain: "alice.example.com"}, lifecycle.Operation{})
		d.add(t, "alice.example.com", lifecycle.Change{})
		f.whole(t, "alice.example.com")
	})
}

// TestModifyAtWorkElsewhere: a change of names waits for nobody, and says who is at it.
func TestModifyAtWorkElsewhere(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	f.leave(t, lifecycle.Claim{ID: "al.example.com", Instance: inst.ID(), Operation: "modify-" + inst.ID(), Domain: inst.Domain()}, lifecycle.Operation{
		ID: "modify-" + inst.ID(), Verb: "modify", State: "running", Domain: inst.Domain(), Instance: inst.ID(),
		Names: []string{"al.example.com"}, Node: "elsewhere", Lease: f.until(time.Minute),
	})
	_, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Aliases: &[]string{"other.example.com"}})
	is(t, err, tenancy.ErrConflict, "a second change of names")
	if !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("the error does not say who is at it: %v", err)
	}
	_, err = d.Add(t.Context(), domain(t, "al.example.com"), lifecycle.Change{}, nil)
	is(t, err, tenancy.ErrConflict, "an add of a name that is being taken")
	if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Locale: ptr("fr")}); err != nil {
		t.Errorf("a change of something else: %v", err)
	}
}

// TestUndoSparesStack: a stack that makes the same domain while an add dies keeps
// the databases, which have the same names.
func TestUndoSparesStack(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		victim, heir := f.door(t), f.door(t)
		_, err := victim.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{Aliases: &[]string{"al.example.com"}}, func(step string, _, _ int) {
			if step == "record" {
				f.stackMade(t, heir, "0123", `{"domain":"alice.example.com","prefix":"`+domain(t, "alice.example.com").Prefix()+`"}`)
				victim.line.dies(0, false)
			}
		})
		if err == nil {
			t.Fatal("the add came to its end")
		}
		f.clock.advance(expiry)
		_, err = heir.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, nil)
		is(t, err, tenancy.ErrExists, "an add of what a stack has made")
		// Nor does whoever undoes the add for another reason: the claim on its alias.
		heir.add(t, "bob.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
		if n := len(f.databases(t)); n != 2*len(provision.Doctypes) {
			t.Errorf("%d databases are left", n)
		}
	})
}

// TestAddCancelled: a caller who goes away half way has not made half an instance.
func TestAddCancelled(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		for _, at := range []string{"checking", "databases", "record"} {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := d.Add(ctx, domain(t, "alice.example.com"), lifecycle.Change{}, func(step string, _, _ int) {
				if step == at {
					cancel()
				}
			})
			cancel()
			if err == nil {
				t.Fatalf("cancelled at %s, and made", at)
			}
			f.whole(t)
			for id, op := range f.operations(t) {
				if op.State != "undone" || op.Error == "" {
					t.Errorf("cancelled at %s: operation %s is %s (%s)", at, id, op.State, op.Error)
				}
			}
		}
		d.add(t, "alice.example.com", lifecycle.Change{})
		f.whole(t, "alice.example.com")
	})
}

// TestAddAnswerLost: an add whose last answer was lost is made, and says so.
func TestAddAnswerLost(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		lost := false
		d.line.fails(func(_ int, r *http.Request) verdict {
			if !lost && r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/global/instances/") {
				lost = true
				return loseAnswer
			}
			return pass
		})
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		f.whole(t, "alice.example.com")
		if op := f.operations(t)["add-"+inst.ID()]; op.State != "done" || !lost {
			t.Errorf("operation: %+v", op)
		}
	})
}

// TestSharedDatabaseGone: an operator who drops a shared database does not stop a
// front door that runs from making it again; but for the instances' own, which must
// not come back empty while a front door knows better.
func TestSharedDatabaseGone(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		for i, db := range []string{provision.ClaimsDB, provision.OperationsDB, provision.InstancesDB} {
			if err := d.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := f.store.DestroyDB(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			name := []string{"a.example.com", "b.example.com", "c.example.com"}[i]
			if db == provision.InstancesDB {
				d.Forget()
				_, err := d.Add(t.Context(), domain(t, name), lifecycle.Change{}, nil)
				is(t, err, tenancy.ErrUnavailable, "an add without the instances' database")
				_, err = d.Get(t.Context(), "nobody.example.com")
				is(t, err, tenancy.ErrUnavailable, "a question without the instances' database")
				if f.docs(t, db) != nil {
					t.Errorf("%s is there again", db)
				}
				d = f.door(t) // one that knows nothing
			}
			d.add(t, name, lifecycle.Change{})
			if n := len(f.databases(t)); n != (i+1)*len(provision.Doctypes) {
				t.Errorf("without %s there are %d databases", db, n)
			}
		}
		if got := slices.Sorted(func(yield func(string) bool) {
			for id := range f.docs(t, provision.InstancesDB) {
				if strings.HasPrefix(id, "_design/") && !yield(id) {
					return
				}
			}
		}); len(got) != 4 {
			t.Errorf("design documents: %q", got)
		}
	})
}
