// A property test: any sequence of writes leaves the store as a simple model in
// memory says, in every way of reading it, also after it was closed and opened.

package embedded_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	kivik "github.com/go-kivik/kivik/v4"
	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

// modelDoc is what the model knows of a document.
type modelDoc struct {
	rev     string
	gen     int
	deleted bool
	n       int
	domain  string
}

// model is the store as it should be.
type model struct {
	docs  map[string]modelDoc
	order []string // ids, by their last change
	seq   int
}

// edit is a write of the model.
type edit struct {
	id, rev string
	deleted bool
	n       int
	domain  string
}

func (e edit) json() map[string]any {
	doc := map[string]any{"_id": e.id, "n": e.n}
	if e.rev != "" {
		doc["_rev"] = e.rev
	}
	if e.deleted {
		doc["_deleted"] = true
	}
	if e.domain != "" {
		doc["domain"] = e.domain
	}
	return doc
}

// write says what an edit does: whether it is accepted.
func (m *model) write(e edit) bool {
	old, exists := m.docs[e.id]
	switch {
	case !exists && e.rev != "",
		exists && old.deleted && (e.rev != "" || e.deleted),
		exists && !old.deleted && e.rev != old.rev:
		return false
	}
	m.docs[e.id] = modelDoc{gen: old.gen + 1, deleted: e.deleted, n: e.n, domain: e.domain}
	m.order = append(slices.DeleteFunc(m.order, func(s string) bool { return s == e.id }), e.id)
	m.seq++
	return true
}

// accept notes the revision that the store gave.
func (m *model) accept(t *rapid.T, id, rev string) {
	doc := m.docs[id]
	if !strings.HasPrefix(rev, fmt.Sprintf("%d-", doc.gen)) {
		t.Fatalf("%s has revision %s, want generation %d", id, rev, doc.gen)
	}
	doc.rev = rev
	m.docs[id] = doc
}

// edit draws a write: an id of few, and a revision that is right, wrong or absent.
func (m *model) edit(t *rapid.T) edit {
	e := edit{
		id:      rapid.SampledFrom([]string{"a", "b", "c", "d", "_design/e", "f/é"}).Draw(t, "id"),
		deleted: rapid.IntRange(0, 4).Draw(t, "deleted") == 0,
		n:       rapid.IntRange(0, 99).Draw(t, "n"),
		domain:  rapid.SampledFrom([]string{"", "x.example", "y.example"}).Draw(t, "domain"),
	}
	switch rapid.IntRange(0, 9).Draw(t, "rev") {
	case 0:
		e.rev = noRev
	case 1, 2:
	default:
		if doc := m.docs[e.id]; !doc.deleted {
			e.rev = doc.rev
		}
	}
	return e
}

// compare reads the store in every way.
func (m *model) compare(t *testing.T, rt *rapid.T, db *kivik.DB) {
	live, domains := []string{}, []string{}
	for id, want := range m.docs {
		var got struct {
			Rev string `json:"_rev"`
			N   int    `json:"n"`
		}
		err := db.Get(t.Context(), id).ScanDoc(&got)
		switch {
		case want.deleted && kivik.HTTPStatus(err) == 404:
			continue
		case want.deleted || err != nil || got.N != want.n || got.Rev != want.rev:
			rt.Fatalf("%s is %+v, %v, want %+v", id, got, err, want)
		}
		live = append(live, id)
		if want.domain != "" && !strings.HasPrefix(id, "_design/") {
			domains = append(domains, want.domain+"="+id)
		}
	}
	slices.Sort(live)
	slices.Sort(domains)
	rows, meta := list(t, db.AllDocs(t.Context()))
	if got := ids(rows); !slices.Equal(got, live) || int(meta.TotalRows) != len(live) {
		rt.Fatalf("_all_docs has %v and total_rows %d, want %v", got, meta.TotalRows, live)
	}
	if got := strings.Fields(rowsOf(t, db, nil)); !slices.Equal(got, domains) {
		rt.Fatalf("the view has %v, want %v", got, domains)
	}
	s := stats(t, db)
	if int(s.DocCount) != len(live) || int(s.DeletedCount) != len(m.docs)-len(live) || !strings.HasPrefix(s.UpdateSeq, fmt.Sprintf("%d-", m.seq)) {
		rt.Fatalf("%d documents, %d tombstones, sequence %s, want %d, %d, %d", s.DocCount, s.DeletedCount, s.UpdateSeq, len(live), len(m.docs)-len(live), m.seq)
	}
	m.compareFeed(t, rt, db)
}

// compareFeed follows the changes feed: the last change of each document, in
// their order, and the rest of it from any row on.
func (m *model) compareFeed(t *testing.T, rt *rapid.T, db *kivik.DB) {
	rows, _ := changes(t, db)
	var order []string
	for _, c := range rows {
		order = append(order, c.id)
		if want := m.docs[c.id]; c.rev != want.rev || c.deleted != want.deleted {
			rt.Fatalf("the change %+v, want %+v", c, want)
		}
	}
	if !slices.Equal(order, m.order) {
		rt.Fatalf("_changes has %v, want %v", order, m.order)
	}
	if len(rows) == 0 {
		return
	}
	from := rapid.IntRange(0, len(rows)-1).Draw(rt, "from")
	rest, meta := changes(t, db, kivik.Params(map[string]any{"since": rows[from].seq, "limit": 2}))
	want := rows[from+1:]
	if pending := int64(max(len(want)-2, 0)); meta.Pending != pending || !slices.Equal(rest, want[:min(2, len(want))]) {
		rt.Fatalf("since row %d: %v and %d pending, want %v", from, rest, meta.Pending, want)
	}
}

func TestAgainstModel(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run))
		store := embedded.New(path)
		defer func() { _ = store.Close() }()
		create(t, store.Client(), "db")
		db := store.Client().DB("db")
		m := &model{docs: map[string]modelDoc{}}
		m.write(edit{id: "_design/" + view})
		m.accept(rt, "_design/"+view, put(t, db, "_design/"+view, viewDoc))
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				e := m.edit(rt)
				made, err := db.Put(t.Context(), e.id, e.json())
				if accepted := m.write(e); accepted != (err == nil) {
					rt.Fatalf("Put of %v: %v, the model says %v", e, err, accepted)
				} else if accepted {
					m.accept(rt, e.id, made)
				} else if kivik.HTTPStatus(err) != 409 {
					rt.Fatal(err)
				}
			},
			"delete": func(rt *rapid.T) {
				e := m.edit(rt)
				e = edit{id: e.id, rev: e.rev, deleted: true}
				if e.rev == "" {
					e.rev = noRev
				}
				old, exists := m.docs[e.id]
				want := 0
				switch {
				case !exists || old.deleted:
					want = 404
				case !m.write(e):
					want = 409
				}
				made, err := db.Delete(t.Context(), e.id, e.rev)
				if kivik.HTTPStatus(err) != want {
					rt.Fatalf("Delete of %v: %v, want status %d", e, err, want)
				}
				if want == 0 {
					m.accept(rt, e.id, made)
				}
			},
			"bulk": func(rt *rapid.T) {
				edits := make([]edit, rapid.IntRange(1, 5).Draw(rt, "docs"))
				docs := make([]any, len(edits))
				for i := range edits {
					edits[i] = m.edit(rt) // a second edit of one document has the first's parent
					docs[i] = edits[i].json()
				}
				results, err := db.BulkDocs(t.Context(), docs)
				if err != nil {
					rt.Fatal(err)
				}
				for i, e := range edits {
					if accepted := m.write(e); accepted != (results[i].Error == nil) {
						rt.Fatalf("document %d of a bulk, %v: %v, the model says %v", i, e, results[i].Error, accepted)
					} else if accepted {
						m.accept(rt, e.id, results[i].Rev)
					}
				}
			},
			"reopen": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "really") > 0 {
					return
				}
				if err := store.Close(); err != nil {
					rt.Fatal(err)
				}
				store = embedded.New(path)
				db = store.Client().DB("db")
			},
			"look": func(rt *rapid.T) { m.compare(t, rt, db) },
		})
		m.compare(t, rt, db)
	})
}
