// The contract: what provision says against what a stack made, document by
// document. testdata holds dumps of a running one.

package provision_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// dump is the documents of a stack by database and by id.
type dump map[string]map[string]json.RawMessage

func readDump(t testing.TB, name string) dump {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var lists map[string][]json.RawMessage
	if err := json.Unmarshal(raw, &lists); err != nil {
		t.Fatal(err)
	}
	out := dump{}
	for db, docs := range lists {
		out[db] = byID(t, docs)
	}
	return out
}

func byID[T any](t testing.TB, docs []T) map[string]json.RawMessage {
	t.Helper()
	out := map[string]json.RawMessage{}
	for _, doc := range docs {
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		var head struct {
			ID string `json:"_id"`
		}
		if err := json.Unmarshal(raw, &head); err != nil || head.ID == "" {
			t.Fatalf("a document without an id: %s (%v)", raw, err)
		}
		if out[head.ID] != nil {
			t.Fatalf("two documents have the id %s", head.ID)
		}
		out[head.ID] = raw
	}
	return out
}

var (
	revision = regexp.MustCompile(`"_rev":"[^"]*",?`)
	mapper   = regexp.MustCompile(`"map":"(?:[^"\\]|\\.)*"`)
)

// shape is a design document byte by byte, in its own order of fields, which in
// an index has a meaning; only its revision, and the code of a view, are left out.
func shape(t testing.TB, raw json.RawMessage) string {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		t.Fatal(err)
	}
	s := revision.ReplaceAllString(compact.String(), "")
	return mapper.ReplaceAllString(s, `"map":"code"`)
}

// sameDesigns checks that got has the design documents of want, and no others.
func sameDesigns(t *testing.T, db string, want, got map[string]json.RawMessage) {
	t.Helper()
	designs := func(docs map[string]json.RawMessage) []string {
		return slices.DeleteFunc(slices.Sorted(maps.Keys(docs)), func(id string) bool {
			return !strings.HasPrefix(id, "_design/")
		})
	}
	if w, g := designs(want), designs(got); !slices.Equal(w, g) {
		t.Errorf("%s has the design documents %q, want %q", db, g, w)
	}
	for _, id := range designs(want) {
		if got[id] == nil {
			continue
		}
		if w, g := shape(t, want[id]), shape(t, got[id]); w != g {
			t.Errorf("%s %s\n got %s\nwant %s", db, id, g, w)
		}
	}
}

var (
	aliceSpec = provision.Spec{
		ID: "4360d8f952460851362b23592c0012b6", Domain: "alice.localhost:8090",
		Prefix: "cozy175bd934f9537894ecdde49452338bdf", Locale: "en",
		Time: time.Date(2026, 11, 24, 7, 23, 15, 10303013, time.UTC),
	}
	bobSpec = provision.Spec{
		ID: "4360d8f952460851362b23592c0039bf", Domain: "bob.localhost:8090",
		Prefix: "cozy19ca2dacaf99949b3920b2841e2147d2", Locale: "fr",
		Time: time.Date(2026, 11, 24, 7, 23, 15, 10303013, time.UTC),
	}
)

// TestDesigns: every design document is what a stack and CouchDB made of it.
func TestDesigns(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]provision.Spec{"alice_en_onboarded.json": aliceSpec, "bob_fr_not_onboarded.json": bobSpec} {
		want := readDump(t, name)
		var names []string
		for _, db := range provision.Databases(spec) {
			names = append(names, db.Name)
			sameDesigns(t, db.Name, want[db.Name], byID(t, db.Docs))
		}
		if all := slices.Sorted(maps.Keys(want)); !slices.Equal(slices.Sorted(slices.Values(names)), all) {
			t.Errorf("%s: databases %q, want %q", name, names, all)
		}
	}
}

// TestGlobalDesigns: those of the database of all instances.
func TestGlobalDesigns(t *testing.T) {
	t.Parallel()
	sameDesigns(t, provision.InstancesDB, readDump(t, "global.json")[provision.InstancesDB], byID(t, provision.GlobalDesigns()))
}

// TestNoDesignTwice: no index and no view is written twice, and none shares its
// name within the document with another of its database.
func TestNoDesignTwice(t *testing.T) {
	t.Parallel()
	for _, db := range provision.Databases(bobSpec) {
		names := map[string]string{}
		for id, raw := range byID(t, db.Docs) {
			if !strings.HasPrefix(id, "_design/") {
				continue
			}
			var design struct {
				Views map[string]json.RawMessage `json:"views"`
			}
			if err := json.Unmarshal(raw, &design); err != nil {
				t.Fatal(err)
			}
			for name := range design.Views {
				if names[name] != "" {
					t.Errorf("%s: %s and %s have the view %s", db.Name, id, names[name], name)
				}
				names[name] = id
			}
		}
	}
}
