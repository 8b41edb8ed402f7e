// Add: what a new instance consists of, and which names are refused.

package lifecycle_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// maxRequests bounds the requests of one add on a store that is ready: two for
// each database, and a few for the names, the journal and the record.
const maxRequests = 40

// TestAddWhole: a new instance has its record, databases, documents and claims, and
// takes few requests.
func TestAddWhole(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		if err := d.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, start := d.cluster.Calls(), time.Now()
		inst := d.add(t, "alice.localhost:8090", lifecycle.Change{
			Aliases: &[]string{"alice.example.com", "Émile.example.com"},
			Email:   ptr("alice@example.com"), PublicName: ptr("Alice"), Timezone: ptr("Europe/Paris"),
		})
		requests := d.cluster.Calls() - before
		t.Logf("%s: one add took %d requests and %s", f.kind, requests, time.Since(start).Round(time.Millisecond))
		if requests > maxRequests {
			t.Errorf("one add took %d requests, at most %d are allowed", requests, maxRequests)
		}
		f.whole(t, "alice.localhost:8090")
		if got := inst.Aliases(); !slices.Equal(got, []string{"alice.example.com", "émile.example.com"}) {
			t.Errorf("aliases: %q", got)
		}
		for id, op := range f.operations(t) {
			if op.State != "done" || op.Verb != "add" || op.Error != "" || op.Ended == "" {
				t.Errorf("operation %s: %+v", id, op)
			}
		}
		if _, known := d.dir.Find("alice.example.com"); !known {
			t.Error("the directory of the front door that made the instance does not know it")
		}
	})
}

// TestAddNoSecretInJournal: neither the journal nor the claims know a secret or
// what the owner said.
func TestAddNoSecretInJournal(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{Email: ptr("alice@example.com")})
	var journal strings.Builder
	for _, db := range []string{provision.OperationsDB, provision.ClaimsDB} {
		for _, raw := range f.docs(t, db) {
			journal.Write(raw)
		}
	}
	secrets := 0
	for _, field := range inst.Fields() {
		if !tenancy.Secret(field) {
			continue
		}
		secrets++
		if strings.Contains(journal.String(), inst.Text(field)) {
			t.Errorf("the journal holds %s", field)
		}
	}
	if secrets != 4 {
		t.Errorf("a new instance has %d secrets, want 4", secrets)
	}
	if strings.Contains(journal.String(), "alice@") {
		t.Error("the journal holds the owner's address")
	}
}

// TestAddRefusesTakenNames: a name that is a domain or an alias already, whoever
// made it, is not taken a second time, and the refused add leaves nothing.
func TestAddRefusesTakenNames(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d, other := f.door(t), f.door(t)
		d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
		for what, attempt := range map[string]struct {
			domain  string
			aliases []string
		}{
			"the same domain":                    {domain: "alice.example.com"},
			"the same domain in capitals":        {domain: "ALICE.example.com."},
			"a domain that is an alias":          {domain: "al.example.com"},
			"an alias that is a domain":          {domain: "bob.example.com", aliases: []string{"alice.example.com"}},
			"an alias that is an alias":          {domain: "bob.example.com", aliases: []string{"al.example.com"}},
			"an alias among others that is free": {domain: "bob.example.com", aliases: []string{"b.example.com", "al.example.com"}},
		} {
			for _, door := range []*door{d, other} {
				_, err := door.Add(t.Context(), domain(t, attempt.domain), lifecycle.Change{Aliases: &attempt.aliases}, nil)
				is(t, err, tenancy.ErrExists, what+" on "+door.name)
			}
		}
		f.whole(t, "alice.example.com")
	})
}

// TestAddBesideStack: a record that a stack made, which has no claim, holds its
// names as well.
func TestAddBesideStack(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		f.stackMade(t, d, "0123", `{"domain":"bob.localhost:8090","domain_aliases":["bobby.example.com"],"prefix":"cozy19ca2dacaf99949b3920b2841e2147d2","locale":"fr"}`)
		for _, name := range []string{"bob.localhost:8090", "bobby.example.com"} {
			_, err := d.Add(t.Context(), domain(t, name), lifecycle.Change{}, nil)
			is(t, err, tenancy.ErrExists, name)
		}
		_, err := d.Add(t.Context(), domain(t, "free.example.com"), lifecycle.Change{Aliases: &[]string{"bobby.example.com"}}, nil)
		is(t, err, tenancy.ErrExists, "an alias")
		if n := len(f.databases(t)) + len(f.claims(t)); n != 0 {
			t.Errorf("refused adds left %d databases and claims", n)
		}
	})
}

// stackMade writes a record as a stack does: without a claim or an operation.
func (f *fleet) stackMade(t testing.TB, d *door, id, doc string) {
	t.Helper()
	if err := d.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Put(t.Context(), provision.InstancesDB, id, json.RawMessage(doc)); err != nil {
		t.Fatal(err)
	}
}

// TestAddRefusesAmbiguous: a name that would be taken for an app of another
// instance is refused, and the error says which.
func TestAddRefusesAmbiguous(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	d.dir.ambiguous = map[string]string{"drive.alice.example.com": "alice.example.com"}
	_, err := d.Add(t.Context(), domain(t, "drive.alice.example.com"), lifecycle.Change{}, nil)
	is(t, err, tenancy.ErrConflict, "an ambiguous domain")
	if !strings.Contains(err.Error(), "alice.example.com") {
		t.Errorf("the error does not say with which: %v", err)
	}
	_, err = d.Add(t.Context(), domain(t, "bob.example.com"), lifecycle.Change{Aliases: &[]string{"drive.alice.example.com"}}, nil)
	is(t, err, tenancy.ErrConflict, "an ambiguous alias")
	f.whole(t)
}

// TestAddSparesOrphans: databases that are there without an instance may be
// somebody's data: they are neither used nor touched.
func TestAddSparesOrphans(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		name := provision.DatabaseName(domain(t, "alice.example.com").Prefix(), "io.cozy.notes")
		if _, err := f.store.CreateDB(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.Put(t.Context(), name, "precious", map[string]any{"text": "do not lose"}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, nil)
			is(t, err, tenancy.ErrConflict, "databases without an instance")
		}
		if len(f.docs(t, name)) != 1 {
			t.Error("the database was touched")
		}
		if n := len(f.claims(t)) + len(f.records(t)) + len(f.operations(t)); n != 0 || len(f.databases(t)) != 1 {
			t.Errorf("the refused add left %d documents and the databases %q", n, f.databases(t))
		}
	})
}

// TestAddJournal: the journal of an add is one document, with the steps in their order.
func TestAddJournal(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
	op, ok := f.operations(t)["add-"+inst.ID()]
	if !ok || len(f.operations(t)) != 1 {
		t.Fatalf("operations: %v", f.operations(t))
	}
	var steps []string
	for _, step := range op.Steps {
		steps = append(steps, step.Name)
		if step.Node != d.name {
			t.Errorf("step %s is of %q", step.Name, step.Node)
		}
	}
	if !slices.Equal(steps, []string{"claims", "databases", "record"}) {
		t.Errorf("steps: %q", steps)
	}
	if !slices.Equal(op.Names, []string{"alice.example.com", "al.example.com"}) || op.Prefix != inst.Prefix() || op.Node != d.name {
		t.Errorf("operation: %+v", op)
	}
}
