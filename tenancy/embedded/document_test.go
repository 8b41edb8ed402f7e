// Tests of single documents: revisions, conflicts, tombstones, what is refused.

package embedded_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	kivik "github.com/go-kivik/kivik/v4"
	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

const noRev = "1-00000000000000000000000000000000"

func TestRevisions(t *testing.T) {
	db := newDB(t)
	first := put(t, db, "a", `{"n":1}`)
	if !regexp.MustCompile(`^1-[0-9a-f]{32}$`).MatchString(first) {
		t.Fatalf("rev %s", first)
	}
	_, err := db.Put(t.Context(), "a", map[string]any{"n": 2})
	wantStatus(t, err, 409, "Conflict: Document update conflict.")
	_, err = db.Put(t.Context(), "a", map[string]any{"_rev": noRev, "n": 2})
	wantStatus(t, err, 409)
	_, err = db.Put(t.Context(), "absent", map[string]any{"_rev": first})
	wantStatus(t, err, 409)
	_, err = db.Put(t.Context(), "a", map[string]any{"_rev": "nonsense"})
	wantStatus(t, err, 400, "Bad Request: Invalid rev format")
	_, err = db.Put(t.Context(), "a", map[string]any{"_rev": first}, kivik.Rev(noRev))
	wantStatus(t, err, 400)

	rev, err := db.Put(t.Context(), "a", map[string]any{"n": 2}, kivik.Rev(first))
	if err != nil || !strings.HasPrefix(rev, "2-") {
		t.Fatalf("Put with the option rev: %s, %v", rev, err)
	}
	upper := strings.ToUpper(rev)
	if rev, err = db.Put(t.Context(), "a", map[string]any{"_rev": upper, "n": 3}); err != nil {
		t.Fatalf("a revision in capitals: %v", err)
	}
	if got := get(t, db, "a"); got != `{"_id":"a","_rev":"`+rev+`","n":3}` {
		t.Errorf("Get: %s", got)
	}
	if got, err := db.GetRev(t.Context(), "a"); got != rev || err != nil {
		t.Errorf("GetRev: %s, %v", got, err)
	}
	wantStatus(t, second(db.Get(t.Context(), "a", kivik.Rev(first)).Rev()), 404, "Not Found: missing")
	if got := get(t, db, "a", kivik.Rev(rev), kivik.Param("conflicts", true)); !strings.Contains(got, rev) || strings.Contains(got, "_conflicts") {
		t.Errorf("Get of the current revision: %s", got)
	}
}

// The same edit has the same revision in every store, and another edit another.
func TestRevisionsAreDeterministic(t *testing.T) {
	one, two := newDB(t), newDB(t)
	if a, b := put(t, one, "x", `{"a": 1}`), put(t, two, "y", `{"a":1}`); a != b {
		t.Errorf("%s and %s", a, b)
	}
	if a, b := put(t, one, "z", `{"a":1}`), put(t, two, "z", `{"a":2}`); a == b {
		t.Errorf("two bodies have one revision %s", a)
	}
}

func TestDeletion(t *testing.T) {
	db := newDB(t)
	ctx := t.Context()
	_, err := db.Delete(ctx, "a", noRev)
	wantStatus(t, err, 404, "Not Found: missing")
	first := put(t, db, "a", `{"secret":true}`)
	_, err = db.Delete(ctx, "a", "")
	wantStatus(t, err, 400)
	_, err = db.Delete(ctx, "a", noRev)
	wantStatus(t, err, 409)
	gone := remove(t, db, "a", first)
	if !strings.HasPrefix(gone, "2-") {
		t.Errorf("the tombstone is %s", gone)
	}
	wantStatus(t, second(db.Get(ctx, "a").Rev()), 404, "Not Found: deleted")
	wantStatus(t, second(db.Get(ctx, "never").Rev()), 404, "Not Found: missing")
	if got := get(t, db, "a", kivik.Rev(gone)); got != `{"_id":"a","_rev":"`+gone+`","_deleted":true}` {
		t.Errorf("the tombstone: %s", got)
	}
	_, err = db.Delete(ctx, "a", gone)
	wantStatus(t, err, 404, "Not Found: deleted")
	for _, doc := range []string{`{"_rev":"` + gone + `"}`, `{"_rev":"` + first + `"}`, `{"_deleted":true}`} {
		_, err = db.Put(ctx, "a", json.RawMessage(doc))
		wantStatus(t, err, 409)
	}
	if again := put(t, db, "a", `{"back":true}`); !strings.HasPrefix(again, "3-") {
		t.Errorf("after the tombstone comes %s", again)
	}
	if rev := put(t, db, "born-dead", `{"_deleted":true,"why":1}`); !strings.HasPrefix(rev, "1-") {
		t.Errorf("a tombstone without a past: %s", rev)
	}
	s := stats(t, db)
	if s.DocCount != 1 || s.DeletedCount != 1 {
		t.Errorf("%d documents and %d tombstones, want 1 and 1", s.DocCount, s.DeletedCount)
	}
}

func TestRefusedDocuments(t *testing.T) {
	db := newDB(t, embedded.MaxDocumentSize(1000))
	tests := map[string]struct {
		id, doc string
		status  int
		text    string
	}{
		"underscore":       {"_x", `{}`, 400, "Bad Request: Only reserved document ids may start with underscore."},
		"bare _design/":    {"_design/", `{}`, 400, "Bad Request: Illegal document id `_design/`"},
		"not UTF-8":        {"\xff", `{}`, 400, "Bad Request: Document id must be valid UTF-8"},
		"endless id":       {strings.Repeat("x", 9000), `{}`, 400, "Bad Request: Document id is too long"},
		"array":            {"a", `[]`, 400, "Bad Request: Document must be a JSON object"},
		"no JSON":          {"a", `{"a":}`, 400, "Bad Request: invalid UTF-8 JSON"},
		"two documents":    {"a", `{}{}`, 400, "Bad Request: invalid UTF-8 JSON"},
		"nothing":          {"a", ``, 400, "Bad Request: invalid UTF-8 JSON"},
		"bad UTF-8":        {"a", "{\"a\":\"\xff\"}", 400, "Bad Request: invalid UTF-8 JSON"},
		"unknown field":    {"a", `{"_foo":1}`, 400, "Bad Request: Bad special document member: _foo"},
		"escaped field":    {"a", `{"\u005ffoo":1}`, 400, "Bad Request: Bad special document member: _foo"},
		"odd _deleted":     {"a", `{"_deleted":"yes"}`, 400, "Bad Request: Bad special document member: _deleted"},
		"odd _id":          {"a", `{"_id":7}`, 400, "Bad Request: Document id must be a string"},
		"odd _rev":         {"a", `{"_rev":7}`, 400, "Bad Request: Invalid rev format"},
		"attachment":       {"a", `{"_attachments":{"a":{}}}`, 501, ""},
		"large":            {"a", `{"a":"` + strings.Repeat("x", 1000) + `"}`, 413, "Request Entity Too Large: a"},
		"spaces are free":  {"b", `{` + strings.Repeat(" ", 1000) + `}`, 0, ""},
		"what reads add":   {"c", `{"_conflicts":[],"_revs_info":[],"_local_seq":1,"_deleted_conflicts":[],"_revisions":{},"_attachments":{}}`, 0, ""},
		"design":           {"_design/d", `{}`, 0, ""},
		"the body's _id":   {"d", `{"_id":"other"}`, 0, ""},
		"replicator field": {"e", `{"_replication_state":"x"}`, 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := db.Put(t.Context(), test.id, json.RawMessage(test.doc))
			if test.text == "" {
				wantStatus(t, err, test.status)
			} else {
				wantStatus(t, err, test.status, test.text)
			}
		})
	}
	if got := get(t, db, "c"); !regexp.MustCompile(`^\{"_id":"c","_rev":"[^"]*"\}$`).MatchString(got) {
		t.Errorf("what reads add was kept: %s", got)
	}
	_, err := db.Put(t.Context(), "f", func() {})
	wantStatus(t, err, 400)
}

// What the store does not know comes back as it went in.
func TestBodiesSurvive(t *testing.T) {
	db := newDB(t)
	const body = `"big":12345678901234567890123,"exact":1.10,"e":1e400,"html":"<&>","quote\"d":[{"a":[1,2,{}]}],"twice":1,"twice":2,"text":"\u00e9\\\"é","null":null`
	rev := put(t, db, "a", "{\n"+body+"}")
	if got, want := get(t, db, "a"), `{"_id":"a","_rev":"`+rev+`",`+body+`}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	put(t, db, `id "with" <odd> \ é`, `{"_id":"x"}`)
	if got := get(t, db, `id "with" <odd> \ é`); !json.Valid([]byte(got)) || !strings.Contains(got, `\"with\"`) {
		t.Errorf("an odd id: %s", got)
	}
	for _, doc := range []any{[]byte(`{"a":1}`), `{"a":1}`, map[string]int{"a": 1}} {
		id, _, err := db.CreateDoc(t.Context(), doc)
		if err != nil {
			t.Fatalf("%T: %v", doc, err)
		}
		if got := get(t, db, id); !strings.HasSuffix(got, `,"a":1}`) {
			t.Errorf("%T: %s", doc, got)
		}
	}
	if _, err := db.Put(t.Context(), "reader", strings.NewReader(`{"a":1}`)); err != nil {
		t.Error(err)
	}
}

// anyJSON draws a JSON value, with odd spaces, names and texts.
func anyJSON(depth int) *rapid.Generator[string] {
	space := rapid.SampledFrom([]string{"", " ", "\n\t"})
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth == 0 {
			kind = min(kind, 3)
		}
		text := func() string { return string(must(json.Marshal(rapid.String().Draw(t, "text")))) }
		list := func(item func() string) string {
			var items []string
			for range rapid.IntRange(0, 4).Draw(t, "length") {
				items = append(items, space.Draw(t, "space")+item())
			}
			return strings.Join(items, space.Draw(t, "space")+",")
		}
		switch kind {
		case 0:
			return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "word")
		case 1:
			return string(must(json.Marshal(rapid.Float64Range(-1e300, 1e300).Draw(t, "number"))))
		case 2, 3:
			return text()
		case 4:
			return "[" + list(func() string { return anyJSON(depth-1).Draw(t, "element") }) + "]"
		default:
			return "{" + list(func() string { return text() + ":" + space.Draw(t, "space") + anyJSON(depth-1).Draw(t, "value") }) + "}"
		}
	})
}

// Any value comes back as encoding/json's own compact form of it.
func TestAnyBodySurvives(t *testing.T) {
	db := newDB(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		name := string(must(json.Marshal("x" + rapid.String().Draw(rt, "name"))))
		value := anyJSON(3).Draw(rt, "value")
		id := fmt.Sprint(n)
		rev := put(t, db, id, "{"+name+": "+value+" , \"last\":[ ] }")
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(value)); err != nil {
			rt.Fatal(err)
		}
		if got, want := get(t, db, id), `{"_id":"`+id+`","_rev":"`+rev+`",`+name+`:`+compact.String()+`,"last":[]}`; got != want {
			rt.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

func TestCreateDoc(t *testing.T) {
	db := newDB(t, embedded.Randomness(bytes.NewReader(bytes.Repeat([]byte{0xab}, 32))))
	id, rev, err := db.CreateDoc(t.Context(), map[string]any{"a": 1})
	if err != nil || id != strings.Repeat("ab", 16) || !strings.HasPrefix(rev, "1-") {
		t.Errorf("%s, %s, %v", id, rev, err)
	}
	id, _, err = db.CreateDoc(t.Context(), map[string]any{"_id": "mine"})
	if err != nil || id != "mine" {
		t.Errorf("%s, %v", id, err)
	}
	_, _, err = db.CreateDoc(t.Context(), map[string]any{"_id": "mine"})
	wantStatus(t, err, 409)
	_, _, err = db.CreateDoc(t.Context(), map[string]any{"_id": ""})
	wantStatus(t, err, 400)
	_, _, err = db.CreateDoc(t.Context(), map[string]any{}) // the source is exhausted
	wantStatus(t, err, 500)
}

func TestExtraFields(t *testing.T) {
	db := newDB(t)
	rev := put(t, db, "a", `{}`)
	hash := rev[2:]
	want := `{"_id":"a","_rev":"` + rev + `","_revisions":{"start":1,"ids":["` + hash + `"]},"_revs_info":[{"rev":"` + rev + `","status":"available"}],"_local_seq":1}`
	if got := get(t, db, "a", kivik.Params(map[string]any{"revs": true, "revs_info": "true", "local_seq": true})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLocalDocuments(t *testing.T) {
	db := newDB(t)
	const id = "_local/checkpoint"
	_, err := db.Delete(t.Context(), id, "0-1")
	wantStatus(t, err, 404)
	if rev := put(t, db, id, `{"a":1}`); rev != "0-1" {
		t.Errorf("rev %s", rev)
	}
	if rev := put(t, db, id, `{"_rev":"0-1","a":2}`); rev != "0-2" {
		t.Errorf("rev %s", rev)
	}
	_, err = db.Put(t.Context(), id, map[string]any{"_rev": "1-x"})
	wantStatus(t, err, 400)
	if got := get(t, db, id); got != `{"_id":"_local/checkpoint","_rev":"0-2","a":2}` {
		t.Error(got)
	}
	put(t, db, "a", `{}`)
	rows, meta := list(t, db.AllDocs(t.Context()))
	if len(rows) != 1 || meta.TotalRows != 1 {
		t.Errorf("_all_docs: %v", rows)
	}
	if rows, _ := changes(t, db); len(rows) != 1 {
		t.Errorf("_changes: %v", rows)
	}
	rows, _ = list(t, db.LocalDocs(t.Context(), kivik.IncludeDocs()))
	if len(rows) != 1 || rows[0].value != `{"rev":"0-2"}` || rows[0].doc != `{"_id":"_local/checkpoint","_rev":"0-2","a":2}` {
		t.Errorf("_local_docs: %v", rows)
	}
	if rev := remove(t, db, id, "0-2"); rev != "0-0" {
		t.Errorf("rev %s", rev)
	}
	wantStatus(t, second(db.Get(t.Context(), id).Rev()), 404, "Not Found: missing")
}

func TestBulkDocs(t *testing.T) {
	db := newDB(t)
	first := put(t, db, "a", `{}`)
	results, err := db.BulkDocs(t.Context(), []any{
		json.RawMessage(`{"_id":"a","_rev":"` + first + `","n":2}`),
		map[string]any{"_id": "a", "_rev": first, "n": 3}, // the same parent again
		map[string]any{"n": 4},
		map[string]any{"_id": "b", "_deleted": true},
		map[string]any{"_id": "_local/l"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, results[1].Error, 409, "Document update conflict.")
	for i, want := range []string{"2-", "", "1-", "1-", "0-1"} {
		if !strings.HasPrefix(results[i].Rev, want) || (results[i].Error == nil) != (want != "") || results[i].ID == "" {
			t.Errorf("result %d: %+v", i, results[i])
		}
	}
	for name, docs := range map[string][]any{
		"bad field": {map[string]any{"_id": "c"}, map[string]any{"_bad": 1}},
		"bad id":    {map[string]any{"_id": "c"}, map[string]any{"_id": "_c"}},
		"no object": {map[string]any{"_id": "c"}, "text"},
	} {
		if _, err := db.BulkDocs(t.Context(), docs); kivik.HTTPStatus(err) != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantStatus(t, second(db.Get(t.Context(), "c").Rev()), 404) // nothing of a refused call
	_, err = db.BulkDocs(t.Context(), []any{map[string]any{}}, kivik.Param("new_edits", "false"))
	wantStatus(t, err, 400)
}

func TestSecurity(t *testing.T) {
	db := newDB(t)
	s, err := db.Security(t.Context())
	if err != nil || len(s.Admins.Roles) != 1 || s.Members.Roles[0] != "_admin" {
		t.Fatalf("%+v, %v", s, err)
	}
	want := &kivik.Security{Members: kivik.Members{Names: []string{"bob"}}}
	if err := db.SetSecurity(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	s, err = db.Security(t.Context())
	if err != nil || len(s.Admins.Roles) != 0 || len(s.Members.Names) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	wantStatus(t, db.Client().DB("none").SetSecurity(t.Context(), want), 404)
	wantStatus(t, second(db.Client().DB("none").Security(t.Context())), 404)
}
