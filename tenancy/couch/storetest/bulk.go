// Bulk: many documents in one request, each with a result of its own.

package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

var bulkTests = []test{
	{"mixed results, in order", func(s *suite) {
		db := s.db("docs")
		old := s.put(db, "stale", `{"n":1}`)
		s.put(db, "stale", `{"_rev":"`+old+`","n":2}`)
		update := s.put(db, "update", `{"n":1}`)
		drop := s.put(db, "drop", `{"n":1}`)
		s.put(db, "there", `{"n":1}`)
		docs := []any{
			json.RawMessage(`{"_id":"new","n":1}`),
			json.RawMessage(`{"_id":"there","n":2}`),
			map[string]any{"_id": "update", "_rev": update, "n": 2},
			map[string]any{"_id": "stale", "_rev": old, "n": 3},
			json.RawMessage(`{"_id":"drop","_rev":"` + drop + `","_deleted":true}`),
			json.RawMessage(`{"_id":"_design/domain-and-aliases",` + domainAndAliases[1:]),
			struct {
				ID string `json:"_id"`
			}{"struct"},
		}
		given := append([]any(nil), docs...)
		results, err := s.Cluster.Bulk(s.ctx, db, docs)
		if err != nil {
			s.Fatal(err)
		}
		if !reflect.DeepEqual(docs, given) {
			s.Fatal("the caller's documents were changed")
		}
		want := []struct {
			id       string
			conflict bool
			rev      string
		}{
			{"new", false, "1-"}, {"there", true, ""}, {"update", false, "2-"}, {"stale", true, ""},
			{"drop", false, "2-"}, {"_design/domain-and-aliases", false, "1-"}, {"struct", false, "1-"},
		}
		if len(results) != len(want) {
			s.Fatalf("%d results for %d documents", len(results), len(want))
		}
		for i, w := range want {
			r := results[i]
			if r.ID != w.id {
				s.Fatalf("result %d is of %q, want %q", i, r.ID, w.id)
			}
			if w.conflict {
				s.is(r.Err, couch.ErrConflict, w.id)
			} else if r.Err != nil || len(r.Rev) < 3 || r.Rev[:2] != w.rev {
				s.Fatalf("%s: revision %q, %v; want %s…", w.id, r.Rev, r.Err, w.rev)
			}
		}
		s.keeps(db, "new", `{"n":1}`)
		s.keeps(db, "there", `{"n":1}`)
		s.keeps(db, "update", `{"n":2}`)
		s.keeps(db, "stale", `{"n":2}`)
		s.keeps(db, "_design/domain-and-aliases", domainAndAliases)
		_, err = s.Cluster.Get(s.ctx, db, "drop")
		s.is(err, couch.ErrNotFound, "drop")
	}},
	{"a document without an id gets one", func(s *suite) {
		db := s.db("docs")
		results, err := s.Cluster.Bulk(s.ctx, db, []any{json.RawMessage(`{"n":1}`), json.RawMessage(`{"n":2}`)})
		if err != nil || len(results) != 2 || results[0].ID == "" || results[0].ID == results[1].ID {
			s.Fatalf("%+v, %v", results, err)
		}
		s.keeps(db, results[0].ID, `{"n":1}`)
		s.keeps(db, results[1].ID, `{"n":2}`)
	}},
	{"one id twice", func(s *suite) {
		db := s.db("docs")
		results, err := s.Cluster.Bulk(s.ctx, db, []any{json.RawMessage(`{"_id":"a","n":1}`), json.RawMessage(`{"_id":"a","n":2}`)})
		if err != nil || len(results) != 2 || results[0].Err != nil {
			s.Fatalf("%+v, %v", results, err)
		}
		s.is(results[1].Err, couch.ErrConflict, "the second")
		s.keeps(db, "a", `{"n":1}`)
	}},
	{"nothing", func(s *suite) {
		results, err := s.Cluster.Bulk(s.ctx, s.db("docs"), nil)
		if err != nil || len(results) != 0 {
			s.Fatalf("%+v, %v", results, err)
		}
	}},
	{"over deleted documents", func(s *suite) {
		db := s.db("docs")
		s.remove(db, "a", s.put(db, "a", `{"n":1}`))
		results, err := s.Cluster.Bulk(s.ctx, db, []any{json.RawMessage(`{"_id":"a","n":3}`)})
		if err != nil || len(results) != 1 || results[0].Err != nil || results[0].Rev[:2] != "3-" {
			s.Fatalf("%+v, %v", results, err)
		}
		s.keeps(db, "a", `{"n":3}`)
	}},
	{"many", func(s *suite) {
		db := s.db("docs")
		docs := make([]any, 1500)
		for i := range docs {
			docs[i] = map[string]any{"_id": fmt.Sprintf("%04d", i), "domain": fmt.Sprintf("tenant-%04d.example", i)}
		}
		for range 2 {
			results, err := s.Cluster.Bulk(s.ctx, db, docs)
			if err != nil || len(results) != len(docs) {
				s.Fatalf("%d results, %v", len(results), err)
			}
			for i, r := range results {
				if r.Err != nil {
					s.Fatal(r.Err)
				}
				doc := docs[i].(map[string]any)
				if r.ID != doc["_id"] {
					s.Fatalf("result %d is of %s", i, r.ID)
				}
				doc["_rev"] = r.Rev
			}
		}
		if info, err := s.Cluster.Info(s.ctx, db); err != nil || info.Docs != 1500 {
			s.Fatalf("%+v, %v", info, err)
		}
	}},
}
