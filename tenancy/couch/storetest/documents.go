// Documents: one at a time, with their revisions.

package storetest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

var documentTests = []test{
	{"put, get, update", func(s *suite) {
		db := s.db("docs")
		first := s.put(db, "a", `{"n":"one"}`)
		if !strings.HasPrefix(first, "1-") {
			s.Fatalf("the first revision is %q", first)
		}
		s.keeps(db, "a", `{"n":"one"}`)
		second := s.put(db, "a", `{"_rev":"`+first+`","n":"two"}`)
		if !strings.HasPrefix(second, "2-") {
			s.Fatalf("the second revision is %q", second)
		}
		s.keeps(db, "a", `{"n":"two"}`)
		doc, err := s.Cluster.Get(s.ctx, db, "a")
		if err != nil || !strings.Contains(string(doc), second) {
			s.Fatalf("%s, %v; want revision %s", doc, err, second)
		}
	}},
	{"a document may hold its own id", func(s *suite) {
		db := s.db("docs")
		s.put(db, "a", `{"_id":"a","n":1}`)
		s.keeps(db, "a", `{"n":1}`)
	}},
	{"a value is written as its JSON", func(s *suite) {
		db := s.db("docs")
		doc := struct {
			ID   string `json:"_id"`
			Text string `json:"text"`
		}{"a", "<&>"}
		if _, err := s.Cluster.Put(s.ctx, db, "a", doc); err != nil {
			s.Fatal(err)
		}
		s.keeps(db, "a", `{"text":"<&>"}`)
	}},
	{"conflicts", func(s *suite) {
		db := s.db("docs")
		first := s.put(db, "a", `{"n":1}`)
		s.put(db, "a", `{"_rev":"`+first+`","n":2}`)
		for what, doc := range map[string]string{
			"no revision":      `{"n":3}`,
			"an old revision":  `{"_rev":"` + first + `","n":3}`,
			"no such revision": `{"_rev":"7-967a00dff5e02add41819138abb3284d","n":3}`,
		} {
			_, err := s.Cluster.Put(s.ctx, db, "a", json.RawMessage(doc))
			s.is(err, couch.ErrConflict, what)
		}
		_, err := s.Cluster.Delete(s.ctx, db, "a", first)
		s.is(err, couch.ErrConflict, "a deletion of an old revision")
		s.keeps(db, "a", `{"n":2}`)
		_, err = s.Cluster.Put(s.ctx, db, "b", json.RawMessage(`{"_rev":"`+first+`"}`))
		s.is(err, couch.ErrConflict, "an update of what is not there")
		_, err = s.Cluster.Get(s.ctx, db, "b")
		s.is(err, couch.ErrNotFound, "what was not there")
	}},
	{"not found", func(s *suite) {
		db := s.db("docs")
		_, err := s.Cluster.Get(s.ctx, db, "a")
		s.is(err, couch.ErrNotFound, "get")
		_, err = s.Cluster.GetWithConflicts(s.ctx, db, "a")
		s.is(err, couch.ErrNotFound, "get with conflicts")
		_, err = s.Cluster.Delete(s.ctx, db, "a", "1-967a00dff5e02add41819138abb3284d")
		s.is(err, couch.ErrNotFound, "delete")
	}},
	{"an empty id is refused", func(s *suite) {
		db := s.db("docs")
		_, err := s.Cluster.Get(s.ctx, db, "")
		s.is(err, couch.ErrRefused, "get")
		_, err = s.Cluster.Put(s.ctx, db, "", json.RawMessage(`{}`))
		s.is(err, couch.ErrRefused, "put")
		_, err = s.Cluster.Delete(s.ctx, db, "", "1-a")
		s.is(err, couch.ErrRefused, "delete")
	}},
	{"delete", func(s *suite) {
		db := s.db("docs")
		first := s.put(db, "a", `{"n":1}`)
		deleted := s.remove(db, "a", first)
		if !strings.HasPrefix(deleted, "2-") {
			s.Fatalf("the revision of the deletion is %q", deleted)
		}
		_, err := s.Cluster.Get(s.ctx, db, "a")
		s.is(err, couch.ErrNotFound, "a deleted document")
		_, err = s.Cluster.Delete(s.ctx, db, "a", first)
		if !errors.Is(err, couch.ErrNotFound) {
			s.is(err, couch.ErrConflict, "a second deletion")
		}
		_, err = s.Cluster.Delete(s.ctx, db, "a", deleted)
		if s.differs(DeleteDeleted) {
			if err != nil {
				s.Fatalf("%v: the difference %q is gone", err, DeleteDeleted)
			}
			return
		}
		s.is(err, couch.ErrNotFound, "a deletion of the deletion")
	}},
	{"put over a deleted document", func(s *suite) {
		db := s.db("docs")
		s.remove(db, "a", s.put(db, "a", `{"n":1}`))
		third := s.put(db, "a", `{"n":3}`)
		if !strings.HasPrefix(third, "3-") {
			s.Fatalf("the revision over a deletion is %q", third)
		}
		s.keeps(db, "a", `{"n":3}`)
		s.remove(db, "a", third)
		_, err := s.Cluster.Put(s.ctx, db, "a", json.RawMessage(`{"_rev":"`+third+`"}`))
		s.is(err, couch.ErrConflict, "an update of what was deleted meanwhile")
	}},
	{"without conflicts there is no list of them", func(s *suite) {
		db := s.db("docs")
		rev := s.put(db, "a", `{"n":1}`)
		s.put(db, "a", `{"_rev":"`+rev+`","n":2}`)
		doc, err := s.Cluster.GetWithConflicts(s.ctx, db, "a")
		if err != nil || strings.Contains(string(doc), "_conflicts") {
			s.Fatalf("%s, %v", doc, err)
		}
		s.sameID("a", doc)
	}},
	{"ids", func(s *suite) {
		db := s.db("docs")
		ids := []string{
			"a b", "a/b", "a+b", "a%2Fb", "a?b=c&d", "a#b", "a:b", `a"b`, `a\b`, "a'b", "a,b", "[a]", "{a}", "a..b", "~",
			"A", "a", "-", "io.cozy.settings.instance", "alice.cozy.localhost:8080",
			"é", "e\u0301", "日本語", "😀", "\u2028", "a\tb", "ß", "İ", strings.Repeat("long", 60),
		}
		for _, id := range ids {
			raw, err := json.Marshal(map[string]string{"of": id})
			if err != nil {
				s.Fatal(err)
			}
			rev := s.put(db, id, string(raw))
			s.keeps(db, id, string(raw))
			s.put(db, id, `{"_rev":"`+rev+`"}`)
		}
		listed := append([]string(nil), ids...)
		if s.differs(LatinIDsListed) {
			listed = latin(listed)
		}
		slices.Sort(listed)
		s.same(s.walk(db, couch.Range{}), listed, "all documents")
		for _, id := range ids {
			doc, err := s.Cluster.Get(s.ctx, db, id)
			if err != nil {
				s.Fatal(err)
			}
			var got struct {
				Rev string `json:"_rev"`
			}
			if err := json.Unmarshal(doc, &got); err != nil {
				s.Fatal(err)
			}
			s.remove(db, id, got.Rev)
		}
		s.same(s.walk(db, couch.Range{}), []string{}, "after deletions")
	}},
	{"design documents", func(s *suite) {
		db := s.db("docs")
		ids := make([]string, 0, len(designDocuments))
		for _, d := range designDocuments {
			rev := s.put(db, d.id, d.doc)
			s.keeps(db, d.id, d.doc)
			s.put(db, d.id, `{"_rev":"`+rev+`",`+d.doc[1:])
			s.keeps(db, d.id, d.doc)
			ids = append(ids, d.id)
		}
		s.same(s.walk(db, couch.Range{Start: "_design/", End: "_design0"}), ids, "design documents")
	}},
}

// designDocuments are of the kinds that a cozy-stack makes, in the order of their
// ids: a Mango index, one with a partial filter, and javascript views with and
// without a reduction.
var designDocuments = []struct{ id, doc string }{
	{"_design/by-olddomain", `{"language":"query","views":{"by-olddomain":{"map":{"fields":{"old_domain":"asc"},"partial_filter_selector":{}},"reduce":"_count","options":{"def":{"fields":["old_domain"]}}}}}`},
	{"_design/connected-user-clients", `{"language":"query","views":{"connected-user-clients":{"map":{"fields":{"client_kind":"asc","client_name":"asc"},"partial_filter_selector":{"client_kind":{"$in":["browser","desktop","mobile"]},"pending":{"$exists":false}}},"reduce":"_count","options":{"def":{"fields":["client_kind","client_name"],"partial_filter_selector":{"client_kind":{"$in":["browser","desktop","mobile"]},"pending":{"$exists":false}}}}}}}`},
	{"_design/disk-usage", `{"language":"javascript","views":{"disk-usage":{"map":"function(doc) {\n  if (doc.type === 'file') {\n    emit(doc.dir_id, +doc.size);\n  }\n}","reduce":"_sum"}}}`},
	{"_design/domain-and-aliases", domainAndAliases},
}
