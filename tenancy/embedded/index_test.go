// Tests of Mango's indexes: the design documents that they are stored as.

package embedded_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	kivik "github.com/go-kivik/kivik/v4"
)

func TestCreateIndex(t *testing.T) {
	db := newDB(t)
	const kinds = `{"$and":[{"client_kind":{"$in":["browser","desktop"]}},{"pending":{"$exists":false}}]}`
	tests := map[string]struct{ name, def, fields, filter string }{
		"one":        {"", `{"fields":["oidc_id"]}`, `{"oidc_id":"asc"}`, `{}`},
		"order":      {"named", `{"fields":["z","a"]}`, `{"z":"asc","a":"asc"}`, `{}`},
		"directions": {"n", `{"fields":[{"z":"desc"},{"a":"desc"}]}`, `{"z":"desc","a":"desc"}`, `{}`},
		"filter":     {"n", `{"fields":["client_kind"],"partial_filter_selector":` + kinds + `}`, `{"client_kind":"asc"}`, kinds},
		"implicit":   {"n", `{"fields":["a"],"partial_filter_selector":{"a":1,"b":{"c":{"$gt":2,"$lt":3}}}}`, `{"a":"asc"}`, `{"$and":[{"a":{"$eq":1}},{"$and":[{"b.c":{"$gt":2}},{"b.c":{"$lt":3}}]}]}`},
		"or":         {"n", `{"fields":["a"],"partial_filter_selector":{"$or":[{"a":"x"},{"$not":{"b":null}}]}}`, `{"a":"asc"}`, `{"$or":[{"a":{"$eq":"x"}},{"$not":{"b":{"$eq":null}}}]}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := db.CreateIndex(t.Context(), "by-"+name, test.name, test.def); err != nil {
				t.Fatal(err)
			}
			var doc struct {
				Language string                     `json:"language"`
				Views    map[string]json.RawMessage `json:"views"`
			}
			stored := get(t, db, "_design/by-"+name)
			if err := json.Unmarshal([]byte(stored), &doc); err != nil || doc.Language != "query" || len(doc.Views) != 1 {
				t.Fatalf("%v, %s", err, stored)
			}
			for view, body := range doc.Views {
				if test.name != "" && view != test.name || test.name == "" && len(view) != 40 {
					t.Errorf("the index is named %s", view)
				}
				want := `{"map":{"fields":` + test.fields + `,"partial_filter_selector":` + test.filter + `},"reduce":"_count","options":{"def":` + test.def + `}}`
				if string(body) != want {
					t.Errorf("got  %s\nwant %s", body, want)
				}
			}
			// Again: it exists, and costs no revision.
			before := must(db.GetRev(t.Context(), "_design/by-"+name))
			if err := db.CreateIndex(t.Context(), "_design/by-"+name, test.name, json.RawMessage(test.def)); err != nil {
				t.Fatal(err)
			}
			if after := must(db.GetRev(t.Context(), "_design/by-"+name)); before != after {
				t.Errorf("revision %s became %s", before, after)
			}
		})
	}
	for name, def := range map[string]string{
		"no object": `[]`, "no fields": `{}`, "odd fields": `{"fields":"a"}`, "number": `{"fields":[1]}`, "empty name": `{"fields":[""]}`,
		"mixed": `{"fields":["a",{"b":"desc"}]}`, "odd direction": `{"fields":[{"a":"up"}]}`, "odd filter": `{"fields":["a"],"partial_filter_selector":7}`,
		"unknown": `{"fields":["a"],"foo":1}`, "no JSON": `{`,
	} {
		if err := db.CreateIndex(t.Context(), "bad", "bad", def); kivik.HTTPStatus(err) != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	put(t, db, "_design/js", `{"language":"javascript"}`)
	wantStatus(t, db.CreateIndex(t.Context(), "js", "n", `{"fields":["a"]}`), 400)
	wantStatus(t, db.Client().DB("none").CreateIndex(t.Context(), "a", "b", `{"fields":["a"]}`), 404)
}

func TestListAndDeleteIndexes(t *testing.T) {
	db := newDB(t)
	ctx := t.Context()
	if err := db.CreateIndex(ctx, "d", "one", map[string]any{"fields": []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	if err := db.CreateIndex(ctx, "d", "two", `{"fields":["c"],"partial_filter_selector":{"c":1}}`); err != nil {
		t.Fatal(err)
	}
	put(t, db, "_design/"+view, viewDoc)
	field := func(names ...string) (fields []any) {
		for _, name := range names {
			fields = append(fields, map[string]any{name: "asc"})
		}
		return fields
	}
	want := []kivik.Index{
		{Name: "_all_docs", Type: "special", Definition: map[string]any{"fields": field("_id")}},
		{DesignDoc: "_design/d", Name: "one", Type: "json", Definition: map[string]any{"fields": field("a", "b")}},
		{DesignDoc: "_design/d", Name: "two", Type: "json", Definition: map[string]any{
			"fields": field("c"), "partial_filter_selector": map[string]any{"c": map[string]any{"$eq": 1.0}},
		}},
	}
	if got, err := db.GetIndexes(ctx); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v, %v\nwant %v", got, err, want)
	}
	wantStatus(t, db.DeleteIndex(ctx, "d", "three"), 404)
	for _, name := range []string{"one", "two"} {
		if err := db.DeleteIndex(ctx, "_design/d", name); err != nil {
			t.Error(err)
		}
	}
	wantStatus(t, second(db.Get(ctx, "_design/d").Rev()), 404, "Not Found: deleted")
	if err := db.CreateIndex(ctx, "d", "one", `{"fields":["a"]}`); err != nil || !strings.HasPrefix(must(db.GetRev(ctx, "_design/d")), "5-") {
		t.Errorf("an index over a tombstone: %v", err)
	}
}
