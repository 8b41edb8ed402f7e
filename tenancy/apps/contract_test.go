// The contract: the documents of an app against those of a stack that installed
// the same from the same registry. testdata holds the registry's answers and the
// stack's documents.

package apps_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/apps"
	"github.com/gatehouse-edge/gatehouse/tenancy/apps/registrytest"
	"github.com/gatehouse-edge/gatehouse/tenancy/files"
)

// dump is what a registry said, and what a stack made of it.
type dump struct {
	Domain    string
	Answers   map[string]map[string]any
	Documents map[string][]map[string]any
}

// differences are what is otherwise than in a stack's documents, on purpose.
var differences = []struct {
	why    string
	change func(slug, doctype string, stack map[string]any)
}{
	{
		"what a manifest has within its known fields is kept, as what it has beside them is",
		func(slug, doctype string, stack map[string]any) {
			if slug == "rich" && doctype == "io.cozy.apps" {
				stack["intents"].([]any)[0].(map[string]any)["extra"] = 1.0
				stack["services"].(map[string]any)["onPhoto"].(map[string]any)["extra"] = 1.0
				stack["routes"].(map[string]any)["/own"].(map[string]any)["extra"] = 1.0
				stack["terms"].(map[string]any)["id"] = "t1"
			}
		},
	},
	{
		"an app whose manifest has no type gets the registry's",
		func(_, doctype string, stack map[string]any) {
			switch {
			case doctype == "io.cozy.apps":
				stack["type"] = "webapp"
			case doctype == "io.cozy.konnectors":
				stack["type"] = "konnector"
			}
		},
	},
	{
		"a null that a manifest has is kept, as a stack does for all but this one",
		func(slug, doctype string, stack map[string]any) {
			if slug == "empties" && doctype == "io.cozy.konnectors" {
				stack["parameters"] = nil
			}
		},
	},
}

// TestDocumentsAsStack: field by field the documents of a stack, but for the differences.
func TestDocumentsAsStack(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/stack.json")
	if err != nil {
		t.Fatal(err)
	}
	var stack dump
	if err := json.Unmarshal(raw, &stack); err != nil {
		t.Fatal(err)
	}
	made := map[string]map[string]map[string]any{} // by doctype and by what the document is about
	for slug, answer := range stack.Answers {
		app := registrytest.App{Slug: slug, Version: answer["version"].(string), Kind: answer["type"].(string), Answer: map[string]any{"manifest": answer["manifest"]}}
		r := published(t, app)
		d := newDoor(t, nil, r.URL)
		d.target.Instance = files.Instance{Domain: stack.Domain, Prefix: "cozy41d17a9bee1964bd7827125f8214f46f"}
		i, err := d.installPrepared(t, slug)
		if err != nil {
			t.Errorf("%s: %v", slug, err)
			continue
		}
		ids := map[string]bool{}
		for _, document := range i.Documents {
			var doc map[string]any
			if err := json.Unmarshal(document.Body, &doc); err != nil {
				t.Fatal(err)
			}
			if doc["_id"] != document.ID || ids[document.ID] {
				t.Errorf("the document %s has the id %v, or is there twice", document.ID, doc["_id"])
			}
			ids[document.ID] = true
			add(made, document.Doctype, doc)
		}
		if app.Kind == "webapp" { // each service that has a trigger names its document
			for name, service := range services(document(t, i, "io.cozy.apps")) {
				if id, _ := service["trigger_id"].(string); (id != "") != (service["trigger"] != "") || id != "" && !ids[id] {
					t.Errorf("%s: the service %s has the trigger %q", slug, name, id)
				}
			}
		}
	}
	seen := map[string]map[string]map[string]any{}
	for doctype, docs := range stack.Documents {
		for _, doc := range docs {
			slug := about(doctype, doc)
			for _, d := range differences {
				d.change(slug, doctype, doc)
			}
			add(seen, doctype, doc)
		}
	}
	for doctype := range seen {
		for key, want := range seen[doctype] {
			got := made[doctype][key]
			delete(made[doctype], key)
			want, got := timeless(t, want), timeless(t, got)
			for _, field := range union(want, got) {
				if !reflect.DeepEqual(want[field], got[field]) || has(want, field) != has(got, field) {
					t.Errorf("%s %s: %s is\n %v, a stack has\n %v", doctype, key, field, got[field], want[field])
				}
			}
		}
		for key := range made[doctype] {
			t.Errorf("%s %s: a stack has none", doctype, key)
		}
	}
}

func (d *door) installPrepared(t *testing.T, slug string) (*apps.Installed, error) {
	t.Helper()
	storage, err := files.Open("file://" + d.folder)
	if err != nil {
		return nil, err
	}
	if err := storage.Prepare(t.Context(), d.target.Instance, nil); err != nil {
		return nil, err
	}
	return d.install(t, slug)
}

func add(to map[string]map[string]map[string]any, doctype string, doc map[string]any) {
	if to[doctype] == nil {
		to[doctype] = map[string]map[string]any{}
	}
	to[doctype][about(doctype, doc)] = doc
}

// about names what a document is about, whatever its id.
func about(doctype string, doc map[string]any) string {
	switch doctype {
	case "io.cozy.permissions":
		return doc["source_id"].(string)
	case "io.cozy.triggers":
		message := doc["message"].(map[string]any)
		return message["slug"].(string) + "/" + message["name"].(string)
	}
	return doc["slug"].(string)
}

func services(app map[string]any) map[string]map[string]any {
	out := map[string]map[string]any{}
	all, _ := app["services"].(map[string]any)
	for name, service := range all {
		out[name] = service.(map[string]any)
	}
	return out
}

var (
	moment   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$`)
	hexID    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	checksum = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// timeless replaces what differs between any two runs, and checks its form.
func timeless(t *testing.T, value map[string]any) map[string]any {
	t.Helper()
	var walk func(any) any
	walk = func(value any) any {
		switch value := value.(type) {
		case string:
			for name, form := range map[string]*regexp.Regexp{"a moment": moment, "an id": hexID, "a checksum": checksum} {
				if form.MatchString(value) {
					return name
				}
			}
		case map[string]any:
			out := map[string]any{}
			for name, field := range value {
				out[name] = walk(field)
			}
			return out
		case []any:
			out := make([]any, len(value))
			for i := range value {
				out[i] = walk(value[i])
			}
			return out
		}
		return value
	}
	if value == nil {
		return nil
	}
	return walk(value).(map[string]any)
}

func union(a, b map[string]any) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	out := make([]string, 0, len(all))
	for name := range all {
		out = append(out, name)
	}
	return out
}

func has(m map[string]any, name string) bool {
	_, ok := m[name]
	return ok
}

// TestManifestKept: what only an app knows comes through as it was written, numbers too, and what belongs to CouchDB does not.
func TestManifestKept(t *testing.T) {
	t.Parallel()
	r := published(t, registrytest.App{Slug: "drive", Manifest: map[string]any{
		"quotas": json.RawMessage(`{"big":12345678901234567890,"html":"<a & b>"}`), "_id": "x", "_rev": "1-x", "_attachments": 1, "checksum": "x", "state": "x",
	}})
	i := newDoor(t, nil, r.URL).mustInstall(t, "drive")
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(i.Documents[len(i.Documents)-1].Body, &doc); err != nil {
		t.Fatal(err)
	}
	if doc["_rev"] != nil || doc["_attachments"] != nil || string(doc["_id"]) != `"io.cozy.apps/drive"` || string(doc["state"]) != `"ready"` || string(doc["checksum"]) != `"`+i.Checksum+`"` {
		t.Errorf("%s", i.Documents[len(i.Documents)-1].Body)
	}
	var quotas struct {
		Big  json.Number `json:"big"`
		HTML string      `json:"html"`
	}
	if err := json.Unmarshal(doc["quotas"], &quotas); err != nil || quotas.Big != "12345678901234567890" || quotas.HTML != "<a & b>" {
		t.Errorf("%s (%v)", doc["quotas"], err)
	}
}

// TestPermissionsOrder: rights are in the order of the manifest.
func TestPermissionsOrder(t *testing.T) {
	t.Parallel()
	want := `{"z":{"type":"io.cozy.files"},"a":{"type":"io.cozy.jobs","verbs":["GET","DELETE"]},"m":{"type":"io.cozy.bank.*","values":["2","1"]}}`
	r := published(t, registrytest.App{Slug: "drive", Manifest: map[string]any{"permissions": json.RawMessage(
		`{"z":{"type":"io.cozy.files","verbs":["GET","ALL"]},"a":{"verbs":["DELETE","GET"],"type":"io.cozy.jobs","extra":1},"m":{"type":"io.cozy.bank.*","values":["2","1"]}}`)}})
	i := newDoor(t, nil, r.URL).mustInstall(t, "drive")
	for _, document := range i.Documents {
		var doc struct {
			Permissions json.RawMessage `json:"permissions"`
		}
		if err := json.Unmarshal(document.Body, &doc); err != nil || string(doc.Permissions) != want {
			t.Errorf("%s has %s, want %s", document.ID, doc.Permissions, want)
		}
	}
}
