package couch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// TestPaths: what is escaped, and a URL with a path of its own, as behind a proxy.
func TestPaths(t *testing.T) {
	var seen []string
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.EscapedPath())
		doc(w, r)
	})
	for _, test := range []struct{ base, db, id, want string }{
		{"", "a/b", "c", "/a%2Fb/c"},
		{"", "a+b", "c d", "/a%2Bb/c%20d"},
		{"", "a", "b/c+d?e#é", "/a/b%2Fc%2Bd%3Fe%23%C3%A9"},
		{"", "a", "_design/b", "/a/_design/b"},
		{"/couch", "a/b", "c/d", "/couch/a%2Fb/c%2Fd"},
		{"/x%20y/", "a/b", "c", "/x%20y/a%2Fb/c"},
	} {
		seen = nil
		c := open(t, couch.Config{}, node.URL+test.base)
		if _, err := c.Get(t.Context(), test.db, test.id); err != nil {
			t.Fatal(err)
		}
		if len(seen) != 1 || seen[0] != test.want {
			t.Errorf("%s %s: %q, want %s", test.db, test.id, seen, test.want)
		}
	}
}

// TestNamesAreChecked before they become a part of a URL.
func TestNamesAreChecked(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "global/instances": true, "cozy0123/io-cozy-files": true, "a_$()+-/0": true, "_users": true, "_replicator": true,
		"": false, "_": false, "A": false, "aB": false, "0": false, "/a": false, "../a": false, "a.b": false, "a:b": false, "a b": false, "é": false, "a\n": false,
	} {
		if couch.ValidName(name) != want {
			t.Errorf("%q: %v, want %v", name, !want, want)
		}
	}
}

// TestErrors: the sentinels of each status, and no other.
func TestErrors(t *testing.T) {
	sentinels := map[string]error{
		"found": couch.ErrNotFound, "conflict": couch.ErrConflict, "refused": couch.ErrRefused,
		"missing": couch.ErrMissing, "denied": couch.ErrDenied, "unavailable": tenancy.ErrUnavailable,
	}
	for status, want := range map[int]string{
		400: "refused", 401: "denied unavailable", 403: "denied unavailable", 404: "found", 405: "refused", 409: "conflict",
		412: "refused", 413: "refused", 429: "unavailable", 500: "unavailable", 501: "missing", 502: "unavailable", 503: "unavailable", 504: "unavailable",
	} {
		node := serve(t, answer(status, `{"error":"e","reason":"the reason"}`))
		_, err := open(t, couch.Config{}, node.URL).Get(t.Context(), "db", "a")
		for name, sentinel := range sentinels {
			if errors.Is(err, sentinel) != strings.Contains(want, name) {
				t.Errorf("%d is %s: %v, want %q", status, name, errors.Is(err, sentinel), want)
			}
		}
		var typed *couch.Error
		if !errors.As(err, &typed) || typed.Status != status || typed.Database != "db" || typed.ID != "a" {
			t.Errorf("%d: %#v", status, typed)
		}
		if !strings.Contains(err.Error(), "the reason") || !strings.Contains(err.Error(), "get db/a") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestWalkPassesLostDocuments: rows whose document was deleted meanwhile, a whole
// page of them here, do not end a walk.
func TestWalkPassesLostDocuments(t *testing.T) {
	const all = 2*couch.PageSize + 10
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var start string
		var limit int
		if raw := r.URL.Query().Get("startkey"); raw != "" {
			if err := json.Unmarshal([]byte(raw), &start); err != nil {
				t.Error(err)
			}
		}
		_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &limit)
		w.Header().Set("Content-Type", "application/json")
		var rows []string
		for i := range all {
			id := fmt.Sprintf("%05d", i)
			if id < start || len(rows) == limit {
				continue
			}
			doc := "null"
			if i >= couch.PageSize+5 {
				doc = fmt.Sprintf(`{"_id":%q,"_rev":"1-a"}`, id)
			}
			rows = append(rows, fmt.Sprintf(`{"id":%q,"key":%q,"value":{"rev":"1-a"},"doc":%s}`, id, id, doc))
		}
		_, _ = io.WriteString(w, `{"rows":[`+strings.Join(rows, ",")+`]}`)
	})
	c := open(t, couch.Config{}, node.URL)
	var ids []string
	err := c.Walk(t.Context(), "db", couch.Range{}, func(row couch.Row) error {
		ids = append(ids, row.ID)
		return nil
	})
	if err != nil || len(ids) != couch.PageSize+5 || ids[0] != fmt.Sprintf("%05d", couch.PageSize+5) {
		t.Errorf("%d documents, %v", len(ids), err)
	}
	node.saw(t, 3, "a walk")
}

// TestWalkEnds where a server gives one page for ever.
func TestWalkEnds(t *testing.T) {
	rows := make([]string, couch.PageSize)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"id":"%05d","key":"a","value":{},"doc":{}}`, i)
	}
	node := serve(t, answer(http.StatusOK, `{"rows":[`+strings.Join(rows, ",")+`]}`))
	err := open(t, couch.Config{}, node.URL).Walk(t.Context(), "db", couch.Range{}, func(couch.Row) error { return nil })
	if !errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	node.saw(t, 2, "a walk that does not get on")
}

// TestChangesAsTheyCome: rows without a document, or without an id.
func TestChangesAsTheyCome(t *testing.T) {
	node := serve(t, answer(http.StatusOK, `{"results":[
		{"seq":"1-x","id":"a","changes":[{"rev":"1-a"}],"doc":{"_id":"a","_rev":"1-a","n":9007199254740993}},
		{"seq":"2-x","id":"b","changes":[{"rev":"1-b"}],"doc":null},
		{"seq":"3-x","id":"c","changes":[]},
		{"seq":null,"id":"","changes":[]},
		{"seq":"5-x","id":"d","changes":[{"rev":"2-d"},{"rev":"2-c"}],"deleted":true,"doc":{"_id":"d","_rev":"2-d","_deleted":true}}
		],"last_seq":"5-x","pending":0}`))
	var got []string
	last, more, err := open(t, couch.Config{}, node.URL).Changes(t.Context(), "db", couch.Feed{}, func(c couch.Change) error {
		got = append(got, fmt.Sprintf("%s %s %v %s", c.ID, c.Rev, c.Deleted, c.Doc))
		return nil
	})
	want := []string{
		`a 1-a false {"_id":"a","_rev":"1-a","n":9007199254740993}`, `b 1-b false `, `c  false `,
		`d 2-d true {"_id":"d","_rev":"2-d","_deleted":true}`,
	}
	if err != nil || more || last != "5-x" || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q, %q, %v, %v", got, last, more, err)
	}
}

// TestBulkAnswers: put in order by their ids, and refused where they do not fit.
func TestBulkAnswers(t *testing.T) {
	docs := []any{
		json.RawMessage(`{"_id":"b"}`), json.RawMessage(`{"_id":"_design/x"}`), json.RawMessage(`{"_id":"b"}`),
		json.RawMessage(`{}`), json.RawMessage(`{"_id":"a"}`),
	}
	for _, test := range []struct{ answers, want string }{
		{`[{"id":"_design/x","rev":"1-x"},{"id":"b","rev":"1-b"},{"id":"b","error":"conflict","reason":"r"},{"id":"made","rev":"1-m"},{"id":"a","rev":"1-a"}]`,
			"b 1-b, _design/x 1-x, b !, made 1-m, a 1-a, "},
		{`[{"id":"b","rev":"1-b"},{"id":"_design/x","rev":"1-x"},{"id":"b","error":"forbidden","reason":"r"},{"id":"made","rev":"1-m"},{"id":"a","rev":"1-a"}]`,
			"b 1-b, _design/x 1-x, b !, made 1-m, a 1-a, "},
		{`[{"id":"b","rev":"1-b"}]`, ""},
		{`[{"id":"b","rev":"1-b"},{"id":"c","rev":"1-b"},{"id":"b","rev":"1-b"},{"id":"x","rev":"1-b"},{"id":"a","rev":"1-a"}]`, ""},
	} {
		node := serve(t, answer(http.StatusCreated, test.answers))
		results, err := open(t, couch.Config{}, node.URL).Bulk(t.Context(), "db", docs)
		got := ""
		for _, r := range results {
			got += r.ID + " " + r.Rev
			if r.Err != nil {
				got += "!"
			}
			got += ", "
		}
		if got != test.want || (err == nil) == (test.want == "") {
			t.Errorf("%q, %v; want %q", got, err, test.want)
		}
	}
}

// TestWeakTag: the mark of a framework is not a revision.
func TestWeakTag(t *testing.T) {
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `W/"28-abc"`)
		doc(w, r)
	})
	rev, err := open(t, couch.Config{}, node.URL).Delete(t.Context(), "db", "a", "1-z")
	if err != nil || rev != "1-a" {
		t.Errorf("%q, %v", rev, err)
	}
}

// TestCountedSequences: where sequences are plain numbers, one beyond the database
// is of another one; a database that is quiet is asked for its own.
func TestCountedSequences(t *testing.T) {
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			answer(http.StatusOK, `{"update_seq":7,"doc_count":1}`)(w, r)
			return
		}
		answer(http.StatusOK, `{"results":[],"last_seq":`+r.URL.Query().Get("since")+`}`)(w, r)
	})
	c := open(t, couch.Config{}, node.URL)
	for since, want := range map[string]error{"0": nil, "6": nil, "7": nil, "8": couch.ErrRefused, "4000000000": couch.ErrRefused} {
		_, _, err := c.Changes(t.Context(), "db", couch.Feed{Since: since}, nil)
		if !errors.Is(err, want) {
			t.Errorf("since %s: %v, want %v", since, err, want)
		}
	}
}

// TestNothingToAsk: no request for nothing.
func TestNothingToAsk(t *testing.T) {
	node := serve(t, whole)
	c := open(t, couch.Config{}, node.URL)
	if rows, err := c.GetMany(t.Context(), "db", []string{""}); err != nil || rows != nil {
		t.Error(rows, err)
	}
	if rows, err := c.View(t.Context(), "db", "d", "v", nil); err != nil || rows != nil {
		t.Error(rows, err)
	}
	if results, err := c.Bulk(t.Context(), "db", nil); err != nil || results != nil {
		t.Error(results, err)
	}
	if err := c.Walk(t.Context(), "db", couch.Range{Start: "b", End: "a"}, nil); err != nil {
		t.Error(err)
	}
	node.saw(t, 0, "nothing")
}

// TestShards: small databases have as many as the configuration in use says, and others
// what the server says.
func TestShards(t *testing.T) {
	asked := make(chan string, 1)
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.RawQuery
		answer(http.StatusCreated, `{"ok":true}`)(w, r)
	})
	shards := 0
	c := open(t, couch.Config{Shards: func() int { return shards }}, node.URL)
	for _, test := range []struct {
		shards int
		make   func(context.Context, string) (bool, error)
		want   string
	}{
		{1, c.CreateDB, ""}, {0, c.CreateSmallDB, ""}, {1, c.CreateSmallDB, "q=1"}, {4, c.CreateSmallDB, "q=4"},
	} {
		shards = test.shards
		if created, err := test.make(t.Context(), "db"); err != nil || !created {
			t.Fatal(created, err)
		}
		if query := <-asked; query != test.want {
			t.Errorf("%d shards: the query is %q", test.shards, query)
		}
	}
}

// TestWalkIDs alone: the documents are not asked for.
func TestWalkIDs(t *testing.T) {
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if docs := r.URL.Query().Get("include_docs"); docs != "false" {
			t.Errorf("include_docs=%s", docs)
		}
		answer(http.StatusOK, `{"rows":[{"id":"a","key":"a","value":{"rev":"1-a"}},{"id":"b","key":"b","value":{"rev":"1-b"}}]}`)(w, r)
	})
	var ids []string
	err := open(t, couch.Config{}, node.URL).Walk(t.Context(), "db", couch.Range{IDs: true}, func(row couch.Row) error {
		if row.Doc != nil {
			t.Errorf("%s has a document", row.ID)
		}
		ids = append(ids, row.ID)
		return nil
	})
	if err != nil || len(ids) != 2 {
		t.Errorf("%v, %v", ids, err)
	}
}
