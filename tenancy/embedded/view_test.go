// Tests of the view domain-and-aliases.

package embedded_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	kivik "github.com/go-kivik/kivik/v4"
)

const view = "domain-and-aliases"

// viewDoc is the design document, which is stored and not run.
const viewDoc = `{"language":"javascript","views":{"domain-and-aliases":{"map":"function(doc) { emit(doc.domain); }"},"other":{"map":"function(doc) {}"}}}`

// rowsOf asks the view, and gives "key=id" for each row.
func rowsOf(t *testing.T, db *kivik.DB, opts map[string]any) string {
	t.Helper()
	rows, _ := list(t, db.Query(t.Context(), view, view, kivik.Params(opts)))
	var got []string
	for _, r := range rows {
		var key string
		if err := json.Unmarshal([]byte(r.key), &key); err != nil || r.value != "null" {
			t.Errorf("row %+v: %v", r, err)
		}
		got = append(got, key+"="+r.id)
	}
	return strings.Join(got, " ")
}

func TestViewNeedsItsDesignDocument(t *testing.T) {
	db := newDB(t)
	query := func(ddoc, view string, opts ...kivik.Option) error {
		return db.Query(t.Context(), ddoc, view, opts...).Err()
	}
	put(t, db, "older", `{"domain":"a.example"}`)
	wantStatus(t, query(view, view), 404, "Not Found: missing")
	rev := put(t, db, "_design/"+view, viewDoc)
	if got := rowsOf(t, db, nil); got != "a.example=older" {
		t.Errorf("a document that is older than the view: %q", got)
	}
	wantStatus(t, query(view, "third"), 404, "Not Found: missing_named_view")
	wantStatus(t, query(view, "other"), 501)
	wantStatus(t, query("else", "else"), 404, "Not Found: missing")
	put(t, db, "_design/else", `{"views":{"else":{"map":"function(doc) {}"}}}`)
	wantStatus(t, query("else", "else"), 501)
	wantStatus(t, query(view, view, kivik.Param("reduce", true)), 400)
	wantStatus(t, query(view, view, kivik.Param("group", true)), 400)
	wantStatus(t, db.Client().DB("none").Query(t.Context(), view, view).Err(), 404)
	remove(t, db, "_design/"+view, rev)
	wantStatus(t, query(view, view), 404, "Not Found: deleted")
}

func TestViewRanges(t *testing.T) {
	db := newDB(t)
	put(t, db, "_design/"+view, viewDoc)
	put(t, db, "1", `{"domain":"b.example","domain_aliases":["a.example","z.example"]}`)
	put(t, db, "2", `{"domain":"b.example"}`)
	put(t, db, "3", `{"domain":"b.example.com:8080","domain_aliases":["b.example.com:8080",7,null],"other":"x"}`)
	put(t, db, "4", `{"domain":7,"domain_aliases":"text"}`)
	put(t, db, "5", `{"\u0064omain_aliases":["ünder.example"],"domain":"nul\u0000l"}`)
	put(t, db, "_design/trap", `{"domain":"trap.example"}`)
	const all = "a.example=1 b.example=1 b.example=2 b.example.com:8080=3 b.example.com:8080=3 nul\x00l=5 z.example=1 ünder.example=5"
	tests := map[string]struct {
		opts map[string]any
		want string
	}{
		"all":             {map[string]any{"reduce": false}, all},
		"key":             {map[string]any{"key": "b.example"}, "b.example=1 b.example=2"},
		"key of an alias": {map[string]any{"key": "z.example"}, "z.example=1"},
		"odd key":         {map[string]any{"key": "nul\x00l"}, "nul\x00l=5"},
		"unknown key":     {map[string]any{"key": "b"}, ""},
		"number":          {map[string]any{"key": 7}, ""},
		"keys":            {map[string]any{"keys": []any{"z.example", "nope", "a.example", 7}}, "z.example=1 a.example=1"},
		"keys, limited":   {map[string]any{"keys": []string{"b.example", "a.example"}, "skip": 1, "limit": 2}, "b.example=2 a.example=1"},
		"keys, down":      {map[string]any{"keys": []string{"a.example", "b.example"}, "descending": true}, "b.example=2 b.example=1 a.example=1"},
		"start":           {map[string]any{"startkey": "nul"}, "nul\x00l=5 z.example=1 ünder.example=5"},
		"end":             {map[string]any{"endkey": "b.example"}, "a.example=1 b.example=1 b.example=2"},
		"exclusive end":   {map[string]any{"endkey": "b.example", "inclusive_end": false}, "a.example=1"},
		"prefix":          {map[string]any{"startkey": "b.", "endkey": "b.\ufff0", "limit": 2}, "b.example=1 b.example=2"},
		"start at an id":  {map[string]any{"startkey": "b.example", "startkey_docid": "2", "limit": 1}, "b.example=2"},
		"end at an id":    {map[string]any{"endkey": "b.example", "endkey_docid": "1"}, "a.example=1 b.example=1"},
		"descending":      {map[string]any{"descending": true, "limit": 2}, "ünder.example=5 z.example=1"},
		"down a range":    {map[string]any{"descending": true, "startkey": "b.example", "endkey": "a.example"}, "b.example=2 b.example=1 a.example=1"},
		"down, exclusive": {map[string]any{"descending": true, "startkey": "b.example", "endkey": "a.example", "inclusive_end": false}, "b.example=2 b.example=1"},
		"down, at ids":    {map[string]any{"descending": true, "startkey": "b.example", "startkey_docid": "1", "limit": 1}, "b.example=1"},
		"any type":        {map[string]any{"startkey": nil, "endkey": map[string]any{}}, all},
		"above strings":   {map[string]any{"startkey": []any{}}, ""},
		"below strings":   {map[string]any{"endkey": 1}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := rowsOf(t, db, test.opts); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
	rows, meta := list(t, db.Query(t.Context(), "_design/"+view, "_view/"+view, kivik.IncludeDocs(), kivik.Param("key", "z.example")))
	if len(rows) != 1 || rows[0].doc != get(t, db, "1") || meta.TotalRows != 8 {
		t.Errorf("%+v, %+v", rows, meta)
	}
}

// The index follows each write, within its own transaction.
func TestViewFollowsWrites(t *testing.T) {
	db := newDB(t)
	put(t, db, "_design/"+view, viewDoc)
	check := func(want string) {
		t.Helper()
		if got := rowsOf(t, db, nil); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		_, meta := list(t, db.Query(t.Context(), view, view))
		if n := int64(len(strings.Fields(want))); meta.TotalRows != n {
			t.Errorf("total_rows %d, want %d", meta.TotalRows, n)
		}
	}
	rev := put(t, db, "1", `{"domain":"a","domain_aliases":["b","c"]}`)
	check("a=1 b=1 c=1")
	rev = put(t, db, "1", `{"domain":"a","domain_aliases":["c"],"_rev":"`+rev+`"}`)
	check("a=1 c=1")
	rev = put(t, db, "1", `{"domain":"d","_rev":"`+rev+`"}`)
	check("d=1")
	rev = put(t, db, "1", `{"domain":"d","blocked":true,"_rev":"`+rev+`"}`)
	check("d=1")
	remove(t, db, "1", rev)
	check("")
	put(t, db, "1", `{"domain":"e"}`)
	check("e=1")
}

func TestViewAcrossChunks(t *testing.T) {
	db := newDB(t)
	put(t, db, "_design/"+view, viewDoc)
	fillDB(t, db, 2000)
	rows, _ := list(t, db.Query(t.Context(), view, view))
	keys := make([]string, 0, len(rows))
	for _, r := range rows {
		keys = append(keys, r.key)
	}
	if len(rows) != 1800 || !slices.IsSorted(keys) || keys[0] != fmt.Sprintf("%q", "00001.example") {
		t.Errorf("%d rows from %s", len(rows), keys[0])
	}
}
