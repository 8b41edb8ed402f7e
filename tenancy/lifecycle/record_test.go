// Record: what an add writes against what a stack wrote for the same two instances,
// field by field.

package lifecycle_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// dumped reads documents that a stack made, by database and id, as compact JSON
// without revisions.
func dumped(t testing.TB, name string) map[string]map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "provision", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var lists map[string][]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &lists); err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for db, docs := range lists {
		out[db] = map[string]string{}
		for _, doc := range docs {
			var id string
			if err := json.Unmarshal(doc["_id"], &id); err != nil {
				t.Fatal(err)
			}
			delete(doc, "_rev")
			out[db][id] = compact(t, doc)
		}
	}
	return out
}

// compact is JSON with sorted fields, but for what is raw: that keeps its order.
func compact(t testing.TB, doc map[string]json.RawMessage) string {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

var secretSizes = map[string]int{"register_token": 16, "session_secret": 64, "oauth_secret": 128, "cli_secret": 128}

// TestRecordAsStack: the record has the fields of a stack's, and their values, but for
// what a passphrase brings, and secrets of the same sizes.
func TestRecordAsStack(t *testing.T) {
	t.Parallel()
	stack := map[string]*tenancy.Instance{}
	for id, doc := range dumped(t, "global.json")[provision.InstancesDB] {
		if strings.HasPrefix(id, "_design/") {
			continue
		}
		inst, err := tenancy.ParseInstance([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		stack[inst.Domain()] = inst
	}
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		seen := map[string]bool{}
		for name, change := range map[string]lifecycle.Change{
			"alice.localhost:8090": {Email: ptr("a@b.c"), PublicName: ptr("Alice"), OnboardingFinished: ptr(true)},
			"bob.localhost:8090":   {Locale: ptr("fr")},
		} {
			id := d.add(t, name, change).ID()
			made := f.records(t)[id]
			made.Unset("_rev")
			want := stack[name].Fields()
			if name == "alice.localhost:8090" { // she has a passphrase, which is set apart
				want = slices.DeleteFunc(want, func(field string) bool { return field == "passphrase_hash" })
				want = append(want, "register_token")
				slices.Sort(want)
			}
			if got := made.Fields(); !slices.Equal(got, want) {
				t.Errorf("%s has the fields\n%q, want\n%q", name, got, want)
			}
			for field, raw := range stack[name].Attributes() {
				if field != "password_defined" && string(made.Raw(field)) != string(raw) {
					t.Errorf("%s: %s is %s, want %s", name, field, made.Raw(field), raw)
				}
			}
			if string(made.Raw("password_defined")) != "false" {
				t.Errorf("%s: password_defined is %s", name, made.Raw("password_defined"))
			}
			if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(made.ID()) {
				t.Errorf("%s: the id %q is not like CouchDB's own", name, made.ID())
			}
			for field, size := range secretSizes {
				value := made.Text(field)
				raw, err := base64.StdEncoding.DecodeString(value)
				if err != nil || len(raw) != size {
					t.Errorf("%s: %s has %d bytes (%v), want %d", name, field, len(raw), err, size)
				}
				if seen[value] {
					t.Errorf("%s: %s is one that is somebody's already", name, field)
				}
				seen[value] = true
			}
		}
	})
}

// TestDatabasesAsStack: each design document of a stack is there as CouchDB made it,
// the order of the fields of an index included, and each other document is there.
func TestDatabasesAsStack(t *testing.T) {
	t.Parallel()
	want := dumped(t, "bob_fr_not_onboarded.json")
	global := dumped(t, "global.json")[provision.InstancesDB]
	code := regexp.MustCompile(`"map":"(?:[^"\\]|\\.)*"`)
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		d.add(t, "bob.localhost:8090", lifecycle.Change{Locale: ptr("fr")})
		all := maps.Clone(want)
		all[provision.InstancesDB] = global
		designs := 0
		for db, docs := range all {
			stored := f.docs(t, db)
			if stored == nil {
				t.Errorf("there is no database %s", db)
				continue
			}
			for id, doc := range docs {
				if !strings.HasPrefix(id, "_design/") {
					if strings.HasPrefix(id, "io.cozy.") && stored[id] == nil {
						t.Errorf("%s has no %s", db, id)
					}
					continue
				}
				designs++
				if stored[id] == nil {
					t.Errorf("%s has no %s", db, id)
					continue
				}
				fields := map[string]json.RawMessage{}
				if err := json.Unmarshal(stored[id], &fields); err != nil {
					t.Fatal(err)
				}
				delete(fields, "_rev")
				got := code.ReplaceAllString(compact(t, fields), `"map":"code"`)
				if want := code.ReplaceAllString(doc, `"map":"code"`); got != want {
					t.Errorf("%s %s is\n%s, want\n%s", db, id, got, want)
				}
			}
			for id := range stored {
				if strings.HasPrefix(id, "_design/") && docs[id] == "" {
					t.Errorf("%s has %s, which a stack does not make", db, id)
				}
			}
		}
		if designs != 39 {
			t.Errorf("%d design documents were compared", designs)
		}
	})
}

// TestViews: the views answer, with what a stack asks of them.
func TestViews(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.localhost:8090", lifecycle.Change{
			Aliases: &[]string{"al.example.com"}, Email: ptr("a@b.c"), Phone: ptr("+33"),
		})
		for key, want := range map[string]int{"alice.localhost:8090": 1, "al.example.com": 1, "bob.localhost:8090": 0} {
			rows, err := f.store.View(t.Context(), provision.InstancesDB, provision.DomainView, provision.DomainView, []string{key})
			if err != nil || len(rows) != want {
				t.Errorf("%s has %d rows (%v), want %d", key, len(rows), err, want)
			}
		}
		contacts := provision.DatabaseName(inst.Prefix(), "io.cozy.contacts")
		rows, err := f.store.View(t.Context(), contacts, "contacts-by-email", "contacts-by-email", []string{"a@b.c"})
		if err != nil || len(rows) != 1 {
			t.Errorf("the owner's contact has %d rows (%v)", len(rows), err)
		}
	})
}
