// Regressions: what a review found, each with the case that went wrong.

package lifecycle_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// TestLostInstances: no verb makes the lost database of all instances anew, where it
// would be empty, and every front door would take that for the truth.
func TestLostInstances(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		if _, err := f.store.DestroyDB(t.Context(), provision.InstancesDB); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		for what, verb := range map[string]func(name string) error{
			"get": func(name string) error { _, err := d.Get(ctx, name); return err },
			"modify": func(name string) error {
				_, err := d.Modify(ctx, name, lifecycle.Change{Locale: ptr("fr")})
				return err
			},
			"rename": func(name string) error {
				_, err := d.Modify(ctx, name, lifecycle.Change{Aliases: &[]string{}})
				return err
			},
			"destroy":    func(name string) error { return d.Destroy(ctx, name, nil) },
			"passphrase": func(name string) error { _, err := d.SetPassphrase(ctx, name, *cheap("eA==")); return err },
			"link":       func(name string) error { _, err := d.ResendLink(ctx, name, false); return err },
			"sessions":   func(name string) error { return d.CleanSessions(ctx, name) },
			"add":        func(name string) error { _, err := d.Add(ctx, domain(t, name), lifecycle.Change{}, nil); return err },
			"repair": func(name string) error {
				_, err := d.Repair(ctx, lifecycle.RepairOptions{Domain: name}, func(lifecycle.Finding) error { return nil }, nil)
				return err
			},
		} {
			for _, name := range []string{"alice.example.com", "nobody.example.com"} {
				is(t, verb(name), tenancy.ErrUnavailable, what+" of "+name)
				if f.docs(t, provision.InstancesDB) != nil {
					t.Fatalf("%s of %s made it anew", what, name)
				}
			}
		}
		if f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.files")) == nil || len(f.claims(t)) != 1 {
			t.Error("what the instance has was touched")
		}
	})
}

// TestDestroyOneOfTwo: of two records with the same databases, one goes alone.
func TestDestroyOneOfTwo(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		out := newOutside()
		d := out.door(t, f)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		f.stackMade(t, d, "0123", `{"domain":"alice.example.com","prefix":"`+inst.Prefix()+`","indexes_version":38}`)
		if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
			t.Fatal(err)
		}
		if records := f.records(t); len(records) != 1 || records["0123"] == nil {
			t.Fatalf("records: %v", records)
		}
		if n := len(f.databases(t)); n != len(provision.Doctypes) || !slices.Equal(out.domains(), []string{"alice.example.com"}) {
			t.Errorf("%d databases are left, and files of %q", n, out.domains())
		}
		if docs := f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.settings")); len(docs) != 1 {
			t.Errorf("the settings are %s", docs)
		}
		if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
			t.Fatal(err)
		}
		f.whole(t)
		if len(out.domains()) != 0 {
			t.Errorf("files of %q are left", out.domains())
		}
	})
}

// TestAddMeetsStack: an add that finds a database that a stack makes meanwhile gives up,
// and takes back nothing but its own.
func TestAddMeetsStack(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		name := provision.DatabaseName(domain(t, "alice.example.com").Prefix(), "io.cozy.settings")
		var once sync.Once
		_, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, func(step string, _, _ int) {
			if step != "databases" {
				return
			}
			once.Do(func() {
				if _, err := f.store.CreateDB(t.Context(), name); err != nil {
					t.Error(err)
				}
				if _, err := f.store.Put(t.Context(), name, "precious", map[string]any{"of": "a stack"}); err != nil {
					t.Error(err)
				}
			})
		})
		is(t, err, tenancy.ErrConflict, "an add that meets a stack")
		if got := f.docs(t, name); len(got) != 1 || len(f.databases(t)) != 1 {
			t.Errorf("left are %q with %s", f.databases(t), got)
		}
		if n := len(f.claims(t)) + len(f.records(t)) + len(f.journal(t)); n != 0 {
			t.Errorf("%d claims, records and operations are left", n)
		}
	})
}

// TestDestroyWithConflict: a record with a revision in conflict, as a cluster can have,
// is gone with all of them; CouchDB would show the next one.
func TestDestroyWithConflict(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		for i, rev := range []string{"1-00000000000000000000000000000001", "2-ffffffffffffffffffffffffffffffff"} {
			doc := inst.Clone()
			doc.Set("_rev", rev)
			doc.Set("locale", []string{"fr", "es"}[i])
			body, err := json.Marshal(map[string]any{"new_edits": false, "docs": []any{doc}})
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.line.server.URL+"/global%2Finstances/_bulk_docs", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if f.kind == testkit.KindCouchDB {
				_, user, password, _ := testkit.CouchDB(t)
				r.SetBasicAuth(user, password)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				t.Fatalf("writing a conflict: %s", resp.Status)
			}
		}
		raw, err := f.store.GetWithConflicts(t.Context(), provision.InstancesDB, inst.ID())
		if err != nil || !bytes.Contains(raw, []byte("_conflicts")) {
			t.Fatalf("there is no conflict: %s (%v)", raw, err)
		}
		if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
			t.Fatal(err)
		}
		if raw, err := f.store.GetWithConflicts(t.Context(), provision.InstancesDB, inst.ID()); !couchMissing(err) {
			t.Errorf("the record is %s (%v)", raw, err)
		}
		f.whole(t)
		http.DefaultClient.CloseIdleConnections()
	})
}

// TestDestroyMeetsStack: databases that a stack makes during a destroy go as well, those
// of the next instance do not.
func TestDestroyMeetsStack(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		made := 0
		err := d.Destroy(t.Context(), "alice.example.com", func(step string, n, _ int) {
			if step == "record" && n == 0 {
				made++
				for _, doctype := range []string{"io.cozy.jobs", "io.cozy.files"} {
					if _, err := f.store.CreateDB(t.Context(), provision.DatabaseName(inst.Prefix(), doctype)); err != nil {
						t.Error(err)
					}
				}
			}
		})
		if err != nil || made != 1 {
			t.Fatalf("%v, with databases made %d times", err, made)
		}
		f.whole(t)
	})
}
