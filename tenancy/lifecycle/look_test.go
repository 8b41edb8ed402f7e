// Looking: what a store holds, past the service under test.

package lifecycle_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

func domain(t testing.TB, s string) tenancy.Domain {
	t.Helper()
	d, err := tenancy.ParseDomain(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ptr[T any](v T) *T { return &v }

// add makes an instance that has to be made.
func (d *door) add(t testing.TB, name string, change lifecycle.Change) *tenancy.Instance {
	t.Helper()
	inst, err := d.Add(t.Context(), domain(t, name), change, nil)
	if err != nil {
		t.Fatalf("add %s on %s: %v", name, d.name, err)
	}
	return inst.Instance
}

// docs are the documents of a database by id; nil where there is no such database.
func (f *fleet) docs(t testing.TB, db string) map[string]json.RawMessage {
	t.Helper()
	out := map[string]json.RawMessage{}
	err := f.where(db).Walk(t.Context(), db, couch.Range{}, func(row couch.Row) error {
		out[row.ID] = row.Doc
		return nil
	})
	if err != nil {
		if couchMissing(err) {
			return nil
		}
		t.Fatalf("reading %s: %v", db, err)
	}
	return out
}

// where is the store with a database.
func (f *fleet) where(db string) *couch.Cluster {
	if f.hollow != nil && f.hollow.rooms != nil && strings.HasPrefix(db, "cozy") {
		return f.hollow.rooms.store
	}
	return f.store
}

// decoded are documents as T, without design documents.
func decoded[T any](t testing.TB, docs map[string]json.RawMessage) map[string]T {
	t.Helper()
	out := map[string]T{}
	for id, raw := range docs {
		if strings.HasPrefix(id, "_design/") {
			continue
		}
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatalf("document %s: %v", id, err)
		}
		out[id] = v
	}
	return out
}

func (f *fleet) claims(t testing.TB) map[string]lifecycle.Claim {
	out := decoded[lifecycle.Claim](t, f.docs(t, provision.ClaimsDB))
	maps.DeleteFunc(out, func(id string, _ lifecycle.Claim) bool { return strings.HasPrefix(id, lifecycle.QuarantinePrefix) })
	return out
}

// quarantined are the names in quarantine, ended ones too.
func (f *fleet) quarantined(t testing.TB) []string {
	t.Helper()
	var out []string
	for id := range f.docs(t, provision.ClaimsDB) {
		if key, ok := strings.CutPrefix(id, lifecycle.QuarantinePrefix); ok {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// journal are the ids of the operations in the journal.
func (f *fleet) journal(t testing.TB) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(decoded[lifecycle.Operation](t, f.docs(t, provision.OperationsDB))))
}

// operations are those of the journal, and the adds and destroys that have ended and
// are in the audit.
func (f *fleet) operations(t testing.TB) map[string]lifecycle.Operation {
	out := decoded[lifecycle.Operation](t, f.docs(t, provision.OperationsDB))
	for id, e := range f.audit(t) {
		_, op, _ := strings.Cut(id, "-")
		if e.Verb != "add" && e.Verb != "destroy" {
			continue
		}
		if _, open := out[op]; open {
			t.Errorf("%s has ended, and is in the journal", op)
		}
		out[op] = lifecycle.Operation{
			ID: op, Verb: e.Verb, State: e.Outcome, Domain: e.Domain, Instance: e.Instance, Node: e.Node, Steps: e.Steps,
			Error: e.Error, Actor: e.Actor, Address: e.Address, Via: e.Via, Started: e.At,
			Ended: e.Ended, Prefix: e.Prefix, Cluster: e.Cluster, Names: e.Names, Databases: e.Databases,
		}
	}
	return out
}

// audit is all of it, by id.
func (f *fleet) audit(t testing.TB) map[string]lifecycle.Entry {
	return decoded[lifecycle.Entry](t, f.docs(t, provision.AuditDB))
}

func (f *fleet) records(t testing.TB) map[string]*tenancy.Instance {
	out := map[string]*tenancy.Instance{}
	for id, raw := range decoded[json.RawMessage](t, f.docs(t, provision.InstancesDB)) {
		inst, err := tenancy.ParseInstance(raw)
		if err != nil {
			t.Fatal(err)
		}
		out[id] = inst
	}
	return out
}

// databases are the names of all databases but the shared ones.
func (f *fleet) databases(t testing.TB) []string {
	t.Helper()
	all, err := f.store.ListDBs(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range all {
		// Without the slash, which a PouchDB in memory leaves out.
		if !strings.HasPrefix(name, "global") && !strings.HasPrefix(name, "gatehouse") && !strings.HasPrefix(name, "_") {
			out = append(out, name)
		}
	}
	return out
}

// named checks that the store has exactly these instances' records, and their claims,
// and gives the records by domain.
func (f *fleet) named(t testing.TB, names ...string) map[string]*tenancy.Instance {
	t.Helper()
	records, claims := f.records(t), f.claims(t)
	found := map[string]*tenancy.Instance{}
	owned := 0
	for id, inst := range records {
		if found[inst.Domain()] != nil {
			t.Errorf("there are two records of %s", inst.Domain())
		}
		found[inst.Domain()] = inst
		for _, name := range inst.Names() {
			owned++
			key, _ := tenancy.HostKey(name)
			if c, ok := claims[key]; !ok || c.Instance != id {
				t.Errorf("the claim on %s is of instance %q, want %q", name, c.Instance, id)
			}
		}
	}
	if len(records) != len(names) {
		t.Errorf("there are %d records, want %d", len(records), len(names))
	}
	if owned != len(claims) {
		t.Errorf("there are %d claims for %d names: %v", len(claims), owned, claims)
	}
	return found
}

// whole checks that the store has exactly these instances: their records, their
// claims, their databases with the first documents, and nothing else.
func (f *fleet) whole(t testing.TB, names ...string) {
	t.Helper()
	found, want := f.named(t, names...), 0
	for _, name := range names {
		inst := found[name]
		if inst == nil {
			t.Errorf("there is no record of %s", name)
			continue
		}
		want += len(provision.Doctypes)
		for _, db := range provision.Databases(provision.Spec{ID: inst.ID(), Domain: name, Prefix: inst.Prefix(), Locale: inst.Locale()}) {
			docs, first := f.docs(t, db.Name), len(db.Docs)+f.more[db.Name[strings.IndexByte(db.Name, '/')+1:]]
			if len(docs) != first {
				t.Errorf("%s has %d documents, want %d", db.Name, len(docs), first)
			}
		}
	}
	if databases := f.databases(t); len(databases) != want {
		t.Errorf("there are %d databases, want %d: %v", len(databases), want, databases)
	}
}

// repaired has what does not fit mended, of one domain or of all for none.
func (f *fleet) repaired(t testing.TB, d *door, name string) {
	t.Helper()
	_, err := d.Repair(t.Context(), lifecycle.RepairOptions{Domain: name}, func(found lifecycle.Finding) error {
		if !found.Mended {
			t.Errorf("not mended: %+v", found)
		}
		return nil
	}, nil)
	if err != nil {
		t.Errorf("repair: %v", err)
	}
}

// fitting checks that nothing is found that does not fit, of one domain or of all for none.
func (f *fleet) fitting(t testing.TB, d *door, name string) {
	t.Helper()
	report, err := d.Repair(t.Context(), lifecycle.RepairOptions{DryRun: true, Domain: name}, func(found lifecycle.Finding) error {
		t.Errorf("found: %+v", found)
		return nil
	}, nil)
	if err != nil || report.Found != 0 {
		t.Errorf("check: %+v (%v)", report, err)
	}
}
