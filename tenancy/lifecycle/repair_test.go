// Repair: each kind of thing that does not fit, made by hand: found by a check that
// changes nothing, mended by a repair, and gone after it.

package lifecycle_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// everything is what a store holds, by database and id.
func (f *fleet) everything(t testing.TB) map[string]map[string]json.RawMessage {
	t.Helper()
	return f.holding(t, f.databases(t)...)
}

// holding is what those databases and the shared ones hold.
func (f *fleet) holding(t testing.TB, databases ...string) map[string]map[string]json.RawMessage {
	t.Helper()
	out := map[string]map[string]json.RawMessage{}
	for _, db := range append(databases, provision.InstancesDB, provision.ClaimsDB, provision.OperationsDB, provision.AuditDB) {
		if f.docs(t, db) != nil { // a list of a server in memory leaves the slash out
			out[db] = f.docs(t, db)
		}
	}
	return out
}

// findings are what a repair finds.
func (f *fleet) findings(t testing.TB, d *door, o lifecycle.RepairOptions) []lifecycle.Finding {
	t.Helper()
	var all []lifecycle.Finding
	report, err := d.Repair(t.Context(), o, func(found lifecycle.Finding) error {
		all = append(all, found)
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mended := 0
	for _, found := range all {
		if found.Mended {
			mended++
		}
		if found.What == "" || found.Action == "" {
			t.Errorf("a finding that does not say what and what to do: %+v", found)
		}
	}
	if report.Found != len(all) || report.Mended != mended {
		t.Errorf("the report %+v is not of %d findings, %d mended", report, len(all), mended)
	}
	return all
}

func kinds(all []lifecycle.Finding) []string {
	var out []string
	for _, found := range all {
		out = append(out, found.Kind)
	}
	slices.Sort(out)
	return out
}

// finds checks what a check finds, and that it changes nothing.
func (f *fleet) finds(t testing.TB, d *door, want ...string) []lifecycle.Finding {
	t.Helper()
	before := f.everything(t)
	all := f.findings(t, d, lifecycle.RepairOptions{DryRun: true})
	slices.Sort(want)
	if got := kinds(all); !slices.Equal(got, want) {
		t.Fatalf("found %+v, want %q", all, want)
	}
	for _, found := range all {
		if found.Mended || found.Error != "" {
			t.Errorf("a check mended: %+v", found)
		}
	}
	if after := f.everything(t); !reflect.DeepEqual(before, after) {
		t.Errorf("a check changed the store:\n%s\nis now\n%s", before, after)
	}
	return all
}

// mends checks what a check finds, that a repair mends it, and that then it is gone.
func (f *fleet) mends(t testing.TB, d *door, want ...string) []lifecycle.Finding {
	t.Helper()
	found := f.finds(t, d, want...)
	mended := f.findings(t, d, lifecycle.RepairOptions{})
	if !slices.Equal(kinds(mended), kinds(found)) {
		t.Errorf("the repair found %+v, the check %+v", mended, found)
	}
	for _, each := range mended {
		if !each.Mended || each.Error != "" {
			t.Errorf("not mended: %+v", each)
		}
	}
	f.finds(t, d)
	return found
}

// stays checks that a check and a repair find this, and that the repair, too, leaves
// all as it is.
func (f *fleet) stays(t testing.TB, d *door, want ...string) {
	t.Helper()
	f.finds(t, d, want...)
	before := f.everything(t)
	for _, each := range f.findings(t, d, lifecycle.RepairOptions{}) {
		if each.Mended {
			t.Errorf("mended: %+v", each)
		}
	}
	if after := f.everything(t); !reflect.DeepEqual(before, after) {
		t.Errorf("a repair changed what it may not:\n%s\nis now\n%s", before, after)
	}
}

// TestRepairOfClaim: a claim that no record and no operation accounts for.
func TestRepairOfClaim(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		f.finds(t, d)
		f.leave(t, lifecycle.Claim{ID: "free.example.com", Instance: inst.ID(), Operation: "modify-old", Domain: inst.Domain()}, lifecycle.Operation{})
		f.leave(t, lifecycle.Claim{ID: "gone.example.com", Instance: "0123", Operation: "add-0123", Domain: "gone.example.com"}, lifecycle.Operation{})
		f.mends(t, d, lifecycle.FoundClaim, lifecycle.FoundClaim)
		f.whole(t, "alice.example.com")
	})
}

// TestRepairOfNoClaim: a record as a stack makes it, with its databases, has no claims;
// the stack's own words in its views are left alone.
func TestRepairOfNoClaim(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	f.dump(t, d)
	found := f.mends(t, d, lifecycle.FoundNoClaim)
	if found[0].Domain != "bob.localhost:8090" || !strings.Contains(found[0].What, "bob.localhost:8090") {
		t.Errorf("found: %+v", found)
	}
	for _, inst := range f.named(t, "bob.localhost:8090") {
		if inst.ID() != f.claims(t)["bob.localhost:8090"].Instance {
			t.Errorf("claims: %v", f.claims(t))
		}
	}
}

// dump writes the record and the databases of an instance as a stack made them.
func (f *fleet) dump(t testing.TB, d *door) {
	t.Helper()
	if err := d.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	write := func(db string, all map[string]string, pick func(id, doc string) bool) {
		var docs []any
		for id, doc := range all {
			if pick(id, doc) {
				docs = append(docs, json.RawMessage(doc))
			}
		}
		if _, err := f.store.CreateDB(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		results, err := f.store.Bulk(t.Context(), db, docs)
		for _, r := range results {
			if r.Err != nil {
				err = r.Err
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for db, docs := range dumped(t, "bob_fr_not_onboarded.json") {
		write(db, docs, func(string, string) bool { return true })
	}
	write(provision.InstancesDB, dumped(t, "global.json")[provision.InstancesDB], func(id, doc string) bool {
		return !strings.HasPrefix(id, "_design/") && strings.Contains(doc, "bob.localhost")
	})
}

// TestRepairOfTwo: two records for one host are told of once, and are for a person.
func TestRepairOfTwo(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		f.stackMade(t, d, "0123", `{"domain":"alice.example.com","prefix":"`+inst.Prefix()+`","indexes_version":38}`)
		f.stays(t, d, lifecycle.FoundTwice)
		found := f.findings(t, d, lifecycle.RepairOptions{Domain: "alice.example.com", DryRun: true})
		if got := kinds(found); !slices.Equal(slices.Compact(got), []string{lifecycle.FoundTwice}) {
			t.Errorf("of the one domain: %+v", found)
		}
		for _, id := range []string{"0123", inst.ID()} {
			if !strings.Contains(found[0].What, id) {
				t.Errorf("it does not name document %s: %s", id, found[0].What)
			}
		}
	})
}

// TestRepairOfMalformed: a record in which routing reads something else is for a person.
func TestRepairOfMalformed(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		`{"domain":"alice.example.com","prefix":"cozy01","couch_cluster":"1"}`,
		`{"domain":"alice.example.com","prefix":12}`,
		`{"domain":"not a host"}`,
		`{"prefix":"cozy01"}`,
	} {
		f := embeddedFleet(t)
		d := f.door(t)
		f.stackMade(t, d, "0123", doc)
		f.stays(t, d, lifecycle.FoundMalformed)
	}
}

// TestRepairOfQuarantine: one that has ended is removed, and one that has not is none.
func TestRepairOfQuarantine(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
		if err := d.DestroyWith(t.Context(), "alice.example.com", lifecycle.DestroyOptions{Quarantine: ptr(time.Hour)}, nil); err != nil {
			t.Fatal(err)
		}
		f.finds(t, d)
		f.clock.advance(time.Hour)
		f.mends(t, d, lifecycle.FoundQuarantine, lifecycle.FoundQuarantine)
		if left := f.quarantined(t); len(left) != 0 {
			t.Errorf("left are %q", left)
		}
		if until, told := d.dir.quarantined["al.example.com"]; !told || !until.IsZero() {
			t.Errorf("the directory has it until %v", until)
		}
	})
}

// TestRepairOfOne: with a domain, or an alias, only that instance is looked at.
func TestRepairOfOne(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	for _, name := range []string{"alice", "bob"} {
		inst := d.add(t, name+".example.com", lifecycle.Change{Aliases: &[]string{name + ".example.org"}})
		f.leave(t, lifecycle.Claim{}, lifecycle.Operation{ID: "modify-" + inst.ID(), Verb: "modify", State: "failed", Domain: inst.Domain(), Instance: inst.ID()})
		if _, err := f.store.DestroyDB(t.Context(), provision.DatabaseName(inst.Prefix(), "io.cozy.jobs")); err != nil {
			t.Fatal(err)
		}
		if err := f.unclaim(t, name+".example.org"); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{lifecycle.FoundNoClaim, lifecycle.FoundNoDatabases, lifecycle.FoundOperation}
	f.finds(t, d, append(slices.Clone(want), want...)...)
	found := f.findings(t, d, lifecycle.RepairOptions{Domain: "alice.example.org"})
	if got := kinds(found); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("found %+v", found)
	}
	for _, each := range f.finds(t, d, want...) {
		if each.Domain != "bob.example.com" {
			t.Errorf("left of another: %+v", each)
		}
	}
	if got := f.findings(t, d, lifecycle.RepairOptions{Domain: "nobody.example.com"}); len(got) != 0 {
		t.Errorf("of nobody: %+v", got)
	}
	_, err := d.Repair(t.Context(), lifecycle.RepairOptions{Domain: "a b"}, nil, nil)
	if _, ok := errorsAs[*tenancy.FieldError](err); !ok {
		t.Errorf("of what is no host: %v", err)
	}
	f.mends(t, d, want...)
	f.whole(t, slices.Sorted(maps.Keys(f.named(t, "alice.example.com", "bob.example.com")))...)
}

// unclaim removes a claim, as an operator would.
func (f *fleet) unclaim(t testing.TB, key string) error {
	_, err := f.store.Delete(t.Context(), provision.ClaimsDB, key, f.claims(t)[key].Rev)
	return err
}
