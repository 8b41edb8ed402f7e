// Repair of databases: those of nobody, those that a record has not got, and the indexes
// and views in them.

package lifecycle_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// TestRepairOfOrphans: databases of nobody are dropped only where that is asked for, and
// where they are not young.
func TestRepairOfOrphans(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		d.add(t, "alice.example.com", lifecycle.Change{})
		prefix := domain(t, "gone.example.com").Prefix()
		lost := []string{provision.DatabaseName(prefix, "io.cozy.files"), provision.DatabaseName(prefix, "io.cozy.notes")}
		others := []string{"cozyneighbour/io-cozy-files", "bob-example-com/io-cozy-files"} // nobody can tell whose these are
		if f.kind == testkit.KindPouchDB {
			others = others[:0]
		}
		for _, name := range append(slices.Clone(lost), others...) {
			if _, err := f.store.CreateDB(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		f.clock.ns.Store(time.Now().UnixNano()) // that by which the store tells the age
		f.stays(t, d, lifecycle.FoundOrphans)
		if f.kind != testkit.KindPouchDB { // which does not tell
			f.clock.advance(30 * time.Minute)
			young := f.findings(t, d, lifecycle.RepairOptions{DropOrphans: true})
			if len(young) != 1 || young[0].Mended || !strings.Contains(young[0].Error, "younger") || f.docs(t, lost[0]) == nil {
				t.Errorf("young ones: %+v", young)
			}
		}
		f.clock.advance(time.Hour)
		if again := f.findings(t, d, lifecycle.RepairOptions{DropOrphans: true, DryRun: true}); len(again) != 1 || again[0].Mended || f.docs(t, lost[0]) == nil {
			t.Errorf("a check: %+v", again)
		}
		dropped := f.findings(t, d, lifecycle.RepairOptions{DropOrphans: true})
		if f.kind == testkit.KindPouchDB { // nobody can tell how old these are
			if len(dropped) != 1 || dropped[0].Mended || !strings.Contains(dropped[0].Error, "how old") || f.docs(t, lost[0]) == nil {
				t.Errorf("ones of unknown age: %+v", dropped)
			}
			return
		}
		if len(dropped) != 1 || !dropped[0].Mended {
			t.Errorf("old ones: %+v", dropped)
		}
		f.finds(t, d)
		if n := len(f.databases(t)); n != len(provision.Doctypes)+len(others) {
			t.Errorf("left are %q", f.databases(t))
		}
	})
}

// TestRepairOrphansInDoubt: nothing is dropped where it is not certain that it is nobody's.
func TestRepairOrphansInDoubt(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		says  string
		doubt func(t *testing.T, f *fleet, d *door)
	}{
		"no instance at all": {says: "no instance", doubt: func(t *testing.T, f *fleet, d *door) {
			if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
				t.Fatal(err)
			}
		}},
		"a record that cannot be read": {says: "cannot be read", doubt: func(t *testing.T, f *fleet, d *door) {
			f.stackMade(t, d, "0123", `{"domain":"bob.example.com","prefix":12}`)
		}},
		"an operation that cannot be read": {says: "cannot be read", doubt: func(t *testing.T, f *fleet, _ *door) {
			if _, err := f.store.Put(t.Context(), provision.OperationsDB, "add-0123", map[string]any{"verb": 12}); err != nil {
				t.Fatal(err)
			}
		}},
		"a claim of a lost record": {doubt: func(t *testing.T, f *fleet, _ *door) {
			f.leave(t, lifecycle.Claim{ID: "gone.example.com", Instance: "0123", Operation: "add-0123", Domain: "gone.example.com"}, lifecycle.Operation{})
		}},
	} {
		f := embeddedFleet(t)
		d := f.door(t)
		d.add(t, "alice.example.com", lifecycle.Change{})
		name := provision.DatabaseName(domain(t, "gone.example.com").Prefix(), "io.cozy.files")
		if _, err := f.store.CreateDB(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		f.clock.ns.Store(time.Now().Add(2 * time.Hour).UnixNano())
		c.doubt(t, f, d)
		for _, found := range f.findings(t, d, lifecycle.RepairOptions{DropOrphans: true}) {
			if found.Kind == lifecycle.FoundOrphans && (found.Mended || c.says == "" || !strings.Contains(found.Error, c.says)) {
				t.Errorf("with %s: %+v", what, found)
			}
		}
		if f.docs(t, name) == nil {
			t.Errorf("with %s it was dropped", what)
		}
	}
}

// TestRepairMeetsAdd: an add that is under way on another front door has nothing that
// does not fit, at any of its moments.
func TestRepairMeetsAdd(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d, other := f.single(t), f.door(t)
	looked := 0
	look := func(step string, _, _ int) {
		looked++
		for _, o := range []lifecycle.RepairOptions{{DropOrphans: true}, {Domain: "alice.example.com"}} {
			if found := f.findings(t, other, o); len(found) != 0 {
				t.Errorf("at %s: %+v", step, found)
			}
		}
	}
	if _, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{Aliases: &[]string{"al.example.com"}}, look); err != nil {
		t.Fatal(err)
	}
	f.whole(t, "alice.example.com")
	if err := d.Destroy(t.Context(), "alice.example.com", look); err != nil {
		t.Fatal(err)
	}
	f.whole(t)
	if looked < 2*len(provision.Doctypes) {
		t.Errorf("it was looked at %d times", looked)
	}
}

// drop removes databases of an instance.
func (f *fleet) drop(t testing.TB, inst *tenancy.Instance, doctypes ...string) {
	t.Helper()
	for _, doctype := range doctypes {
		if _, err := f.store.DestroyDB(t.Context(), provision.DatabaseName(inst.Prefix(), doctype)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRepairOfNoDatabases: what is missing is made again, with its first documents.
func TestRepairOfNoDatabases(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{Locale: ptr("fr")})
		f.drop(t, inst, "io.cozy.files", "io.cozy.jobs")
		found := f.mends(t, d, lifecycle.FoundNoDatabases)
		if !strings.Contains(found[0].What, "io-cozy-files") || !strings.Contains(found[0].What, "io-cozy-jobs") {
			t.Errorf("found %+v", found)
		}
		f.whole(t, "alice.example.com")
		f.drop(t, inst, provision.Doctypes...)
		f.mends(t, d, lifecycle.FoundNoDatabases)
		f.whole(t, "alice.example.com")
		for _, raw := range f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.files")) {
			if strings.Contains(string(raw), "/Administrative") {
				t.Errorf("the directories are not in the instance's language: %s", raw)
			}
		}
	})
}

// TestRepairSparesDeletion: an instance on its way out, or that lost databases to a
// deletion, is not given new ones.
func TestRepairSparesDeletion(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	f.drop(t, inst, "io.cozy.files")
	for _, change := range []lifecycle.Change{
		{Deleting: ptr(true)},
		{Deleting: ptr(false)},
		{Blocked: ptr(true), BlockingReason: ptr(string(tenancy.ReasonDeletionFailed))},
	} {
		if _, err := d.Modify(t.Context(), "alice.example.com", change); err != nil {
			t.Fatal(err)
		}
		if change.Deleting == nil || *change.Deleting {
			f.stays(t, d)
		}
	}
	for _, change := range []lifecycle.Change{{Blocked: ptr(false)}, {BlockingReason: ptr("PAYMENT_FAILED")}, {Blocked: ptr(false), Locale: ptr("fr")}} {
		_, err := d.Modify(t.Context(), "alice.example.com", change)
		is(t, err, tenancy.ErrConflict, "unblocking what is half there")
		_, _, err = d.Preview(t.Context(), "alice.example.com", change)
		is(t, err, tenancy.ErrConflict, "a preview of that")
	}
	f.stays(t, d)
	// Restored, as from a backup, it can be unblocked, and what is missing in it is written.
	if _, err := f.store.CreateDB(t.Context(), provision.DatabaseName(inst.Prefix(), "io.cozy.files")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Blocked: ptr(false)}); err != nil {
		t.Fatal(err)
	}
	f.mends(t, d, lifecycle.FoundDesigns)
}

// redesign changes a design document by hand, or removes it.
func (f *fleet) redesign(t testing.TB, db, name string, change func(doc string) string) {
	t.Helper()
	id := "_design/" + name
	raw := f.docs(t, db)[id]
	var doc map[string]any
	if change == nil {
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.Delete(t.Context(), db, id, doc["_rev"].(string)); err != nil {
			t.Fatal(err)
		}
		return
	}
	changed := change(string(raw))
	if changed == string(raw) {
		t.Fatalf("%s was not changed: %s", name, raw)
	}
	if _, err := f.store.Put(t.Context(), db, id, json.RawMessage(changed)); err != nil {
		t.Fatal(err)
	}
}

// TestRepairOfDesigns: what is missing is written, an index over other fields is put
// right, and a view in a stack's own words is left alone, unless the record says that all
// of them are old.
func TestRepairOfDesigns(t *testing.T) {
	t.Parallel()
	eachApart(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		files, jobs := provision.DatabaseName(inst.Prefix(), "io.cozy.files"), provision.DatabaseName(inst.Prefix(), "io.cozy.jobs")
		want := f.docs(t, files)["_design/disk-usage"]
		own := func(doc string) string { return strings.Replace(doc, "doc.type === 'file'", "doc.type == 'file'", 1) }

		f.redesign(t, files, "dir-children", nil)
		f.redesign(t, files, "referenced-by", nil)
		f.redesign(t, jobs, "by-trigger-id", func(doc string) string { return strings.ReplaceAll(doc, "queued_at", "started_at") })
		f.redesign(t, provision.InstancesDB, "by-oidcid", nil)
		found := f.mends(t, d, lifecycle.FoundDesigns, lifecycle.FoundDesigns, lifecycle.FoundDesigns)
		if !slices.ContainsFunc(found, func(each lifecycle.Finding) bool { return strings.HasPrefix(each.What, files+": 2 ") }) {
			t.Errorf("found %+v", found)
		}
		if doc := string(f.docs(t, jobs)["_design/by-trigger-id"]); strings.Contains(doc, "started_at") || !strings.Contains(doc, "queued_at") {
			t.Errorf("the index is %s", doc)
		}

		f.redesign(t, files, "disk-usage", own)
		f.stays(t, d)
		f.write(t, inst.ID(), "indexes_version", 37)
		f.mends(t, d, lifecycle.FoundDesigns, lifecycle.FoundDesigns) // the view, and the number
		if same, _ := provision.SameDesign(want, f.docs(t, files)["_design/disk-usage"]); !same {
			t.Errorf("the view is %s", f.docs(t, files)["_design/disk-usage"])
		}
		if got := f.records(t)[inst.ID()].Int("indexes_version"); got != provision.IndexesVersion {
			t.Errorf("indexes_version is %d", got)
		}
		f.write(t, inst.ID(), "indexes_version", 39) // of a newer stack
		f.redesign(t, files, "disk-usage", own)
		f.stays(t, d)
		f.whole(t, "alice.example.com")
	})
}

// write sets a field of a record, as another writer would.
func (f *fleet) write(t testing.TB, id, field string, value any) {
	t.Helper()
	inst := f.records(t)[id]
	inst.Set(field, value)
	if _, err := f.store.Put(t.Context(), provision.InstancesDB, id, inst); err != nil {
		t.Fatal(err)
	}
}
