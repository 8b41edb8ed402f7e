// Tests of _all_docs and its like, also over more rows than a chunk has.

package embedded_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	kivik "github.com/go-kivik/kivik/v4"
)

func TestAllDocsRanges(t *testing.T) {
	db := newDB(t)
	for _, id := range []string{"a", "b", "c", "d", "_design/x"} {
		put(t, db, id, `{"n":1}`)
	}
	remove(t, db, "gone", put(t, db, "gone", `{}`))
	tests := map[string]struct {
		opts map[string]any
		want string
	}{
		"all":                {nil, "_design/x a b c d"},
		"start":              {map[string]any{"startkey": "b"}, "b c d"},
		"start as JSON":      {map[string]any{"start_key": json.RawMessage(`"b"`)}, "b c d"},
		"quotes are text":    {map[string]any{"startkey": `"b"`}, "_design/x a b c d"},
		"end":                {map[string]any{"endkey": "b"}, "_design/x a b"},
		"exclusive end":      {map[string]any{"end_key": "b", "inclusive_end": "false"}, "_design/x a"},
		"range":              {map[string]any{"startkey": "b", "endkey": "c"}, "b c"},
		"empty":              {map[string]any{"startkey": "c", "endkey": "b"}, ""},
		"descending":         {map[string]any{"descending": true}, "d c b a _design/x"},
		"descending range":   {map[string]any{"descending": true, "startkey": "c", "endkey": "b"}, "c b"},
		"descending, open":   {map[string]any{"descending": true, "startkey": "c", "endkey": "b", "inclusive_end": false}, "c"},
		"page":               {map[string]any{"skip": 1, "limit": 2}, "a b"},
		"page as text":       {map[string]any{"skip": "1", "limit": "2"}, "a b"},
		"no rows":            {map[string]any{"limit": 0}, ""},
		"key":                {map[string]any{"key": "b"}, "b"},
		"key of a tombstone": {map[string]any{"key": "gone"}, ""},
		"designs by range":   {map[string]any{"startkey": "_design/", "endkey": "_design0"}, "_design/x"},
		"number start":       {map[string]any{"startkey": 1}, "_design/x a b c d"},
		"object end":         {map[string]any{"endkey": map[string]any{}}, ""},
		"unknown option":     {map[string]any{"startkey": "d", "foo": "bar"}, "d"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rows, meta := list(t, db.AllDocs(t.Context(), kivik.Params(test.opts)))
			if got := strings.Join(ids(rows), " "); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			if meta.TotalRows != 5 {
				t.Errorf("total_rows %d", meta.TotalRows)
			}
			for _, r := range rows {
				if r.key != `"`+r.id+`"` || !strings.HasPrefix(r.value, `{"rev":"1-`) || r.doc != "" {
					t.Errorf("row %+v", r)
				}
			}
		})
	}
	for name, opts := range map[string]map[string]any{
		"limit": {"limit": "x"}, "negative": {"skip": -1}, "boolean": {"descending": "maybe"},
		"type": {"limit": 1.5}, "keys": {"keys": "a"}, "keys and key": {"keys": []string{"a", "b"}, "key": "a"},
		"odd keys": {"keys": []any{1}}, "raw": {"startkey": json.RawMessage(`{`)},
	} {
		if err := db.AllDocs(t.Context(), kivik.Params(opts)).Err(); kivik.HTTPStatus(err) != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	rows, meta := list(t, db.DesignDocs(t.Context(), kivik.IncludeDocs()))
	if len(rows) != 1 || meta.TotalRows != 1 || !strings.Contains(rows[0].doc, `"n":1`) {
		t.Errorf("_design_docs: %v, %+v", rows, meta)
	}
}

func TestAllDocsKeys(t *testing.T) {
	db := newDB(t)
	a := put(t, db, "a", `{"n":1}`)
	gone := remove(t, db, "gone", put(t, db, "gone", `{}`))
	want := []aRow{
		{"gone", `"gone"`, `{"rev":"` + gone + `","deleted":true}`, "null"},
		{"", `"never"`, "", ""},
		{"a", `"a"`, `{"rev":"` + a + `"}`, `{"_id":"a","_rev":"` + a + `","n":1}`},
		{"a", `"a"`, `{"rev":"` + a + `"}`, `{"_id":"a","_rev":"` + a + `","n":1}`},
	}
	keys := []string{"gone", "never", "a", "a"}
	rows, meta := list(t, db.AllDocs(t.Context(), kivik.IncludeDocs(), kivik.Param("keys", keys)))
	if !slices.Equal(rows, want) || meta.TotalRows != 1 {
		t.Errorf("got  %v\nwant %v", rows, want)
	}
	rows, _ = list(t, db.AllDocs(t.Context(), kivik.Params(map[string]any{"keys": keys, "descending": true, "skip": 1, "limit": 2})))
	if got := ids(rows); !slices.Equal(got, []string{"a", ""}) {
		t.Errorf("descending, skip, limit: %v", got)
	}
	rows, _ = list(t, db.AllDocs(t.Context(), kivik.Param("keys", []string{"never"})))
	if len(rows) != 1 || rows[0].key != `"never"` {
		t.Errorf("one unknown key: %v", rows)
	}
	rows, _ = list(t, db.AllDocs(t.Context(), kivik.Param("keys", []string{})))
	if len(rows) != 0 {
		t.Errorf("no keys: %v", rows)
	}
}

// fillDB writes n documents, ids 00000 on, and deletes every tenth of them.
func fillDB(t testing.TB, db *kivik.DB, n int) {
	t.Helper()
	var docs, tombstones []any
	flush := func() []kivik.BulkResult {
		results, err := db.BulkDocs(t.Context(), docs)
		if err != nil {
			t.Fatal(err)
		}
		docs = docs[:0]
		return results
	}
	for i := range n {
		docs = append(docs, map[string]any{"_id": fmt.Sprintf("%05d", i), "domain": fmt.Sprintf("%05d.example", i)})
		if len(docs) < 500 && i < n-1 {
			continue
		}
		for j, r := range flush() {
			if j%10 == 0 {
				tombstones = append(tombstones, map[string]any{"_id": r.ID, "_rev": r.Rev, "_deleted": true})
			}
		}
	}
	docs = tombstones
	flush()
}

// A list of many chunks has every row once, in order, while others write; and a
// write does not wait for a reader who pauses.
func TestListsAcrossChunks(t *testing.T) {
	db := newDB(t)
	const n = 2000
	fillDB(t, db, n)
	for _, descending := range []bool{false, true} {
		rs := db.AllDocs(t.Context(), kivik.Param("descending", descending), kivik.IncludeDocs())
		count, last := 0, ""
		for rs.Next() {
			id, _ := rs.ID()
			if last != "" && (id > last) == descending {
				t.Fatalf("%s comes after %s", id, last)
			}
			last = id
			if strings.HasPrefix(id, "new") {
				continue
			}
			if count++; count%300 == 0 {
				put(t, db, fmt.Sprintf("new%v%d", descending, count), `{}`)
			}
		}
		if err := rs.Err(); err != nil || count != n*9/10 {
			t.Errorf("descending %v: %d rows, %v", descending, count, err)
		}
	}
	rows, meta := list(t, db.AllDocs(t.Context(), kivik.Params(map[string]any{"skip": 1000, "limit": 600, "update_seq": true})))
	if len(rows) != 600 || meta.Offset != 1000 || rows[0].id != "01112" || !strings.HasPrefix(meta.UpdateSeq, "22") {
		t.Errorf("%d rows from %s, offset %d, update_seq %s", len(rows), rows[0].id, meta.Offset, meta.UpdateSeq)
	}
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%05d", i)
	}
	if rows, _ := list(t, db.AllDocs(t.Context(), kivik.Param("keys", keys))); len(rows) != n {
		t.Errorf("%d rows for %d keys", len(rows), n)
	}
}

// A list that goes on in another database of the same name would be a lie.
func TestListOfDestroyedDatabase(t *testing.T) {
	db := newDB(t)
	fillDB(t, db, 1000)
	client := db.Client()
	rs, feed := db.AllDocs(t.Context()), db.Changes(t.Context())
	defer feed.Close() //nolint:errcheck // the error is looked at
	if !rs.Next() || !feed.Next() {
		t.Fatal("no rows")
	}
	if err := client.DestroyDB(t.Context(), "db"); err != nil {
		t.Fatal(err)
	}
	create(t, client, "db")
	fillDB(t, client.DB("db"), 1000)
	for rs.Next() { //nolint:revive // to its end
	}
	for feed.Next() { //nolint:revive // to its end
	}
	wantStatus(t, rs.Err(), 404)
	wantStatus(t, feed.Err(), 404)
}

func TestCloseEndsList(t *testing.T) {
	db := newDB(t)
	fillDB(t, db, 1000)
	rs := db.AllDocs(t.Context())
	rs.Next()
	if err := rs.Close(); err != nil || rs.Next() {
		t.Errorf("after Close: %v", err)
	}
}
