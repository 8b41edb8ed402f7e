// Views: the one that a cozy-stack finds its instances by.

package storetest

import (
	"encoding/json"
	"slices"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// design is the name of the design document, and of its view.
const design = "domain-and-aliases"

// domainAndAliases emits what a cozy-stack's view of this name does.
const domainAndAliases = `{"language":"javascript","views":{"domain-and-aliases":{"map":"function(doc) {\n  emit(doc.domain);\n  if (isArray(doc.domain_aliases)) {\n    for (var i = 0; i < doc.domain_aliases.length; i++) {\n      emit(doc.domain_aliases[i]);\n    }\n  }\n}"}}}`

var viewTests = []test{
	{"by domain and alias", func(s *suite) {
		db := s.db("instances")
		s.put(db, "_design/"+design, domainAndAliases)
		alice := s.put(db, "1", `{"domain":"alice.example","domain_aliases":["a.example","ällice.example:8080"]}`)
		s.put(db, "2", `{"domain":"bob.example"}`)
		s.put(db, "3", `{"domain":"carol.example","domain_aliases":[]}`)
		s.put(db, "4", `{"domain":"dave.example","domain_aliases":"dave.net"}`)
		s.put(db, "5", `{"no":"domain"}`)
		check := func(want []string, keys ...string) {
			s.Helper()
			rows, err := s.Cluster.View(s.ctx, db, design, design, keys)
			if err != nil {
				s.Fatal(err)
			}
			got := []string{}
			for _, row := range rows {
				s.sameID(row.ID, row.Doc)
				got = append(got, row.ID)
			}
			slices.Sort(got)
			s.same(got, want, "instances")
		}
		check([]string{"1"}, "alice.example")
		check([]string{"1"}, "a.example")
		check([]string{"1"}, "ällice.example:8080")
		check([]string{"2"}, "bob.example")
		check([]string{"1", "1"}, "alice.example", "a.example")
		check([]string{"2", "3"}, "carol.example", "nobody.example", "bob.example")
		check([]string{}, "ALICE.example", "alice", "alice.example.", "dave.net", "", "no")
		check([]string{})

		// The view is as new as the database.
		alice = s.put(db, "1", `{"_rev":"`+alice+`","domain":"alice.example","domain_aliases":["b.example"]}`)
		check([]string{}, "a.example")
		check([]string{"1"}, "b.example")
		s.remove(db, "1", alice)
		check([]string{}, "alice.example", "b.example")
		s.put(db, "6", `{"domain":"alice.example"}`)
		check([]string{"6"}, "alice.example")
	}},
	{"made after the documents", func(s *suite) {
		db := s.db("instances")
		s.put(db, "1", `{"domain":"alice.example","domain_aliases":["a.example"]}`)
		_, err := s.Cluster.View(s.ctx, db, design, design, []string{"a.example"})
		s.is(err, couch.ErrNotFound, "a view that is not there")
		s.put(db, "_design/"+design, domainAndAliases)
		rows, err := s.Cluster.View(s.ctx, db, design, design, []string{"a.example"})
		if err != nil || len(rows) != 1 || rows[0].ID != "1" {
			s.Fatalf("%v, %v", rows, err)
		}
		s.keepsDoc(rows[0].Doc, `{"domain":"alice.example","domain_aliases":["a.example"]}`)
		_, err = s.Cluster.View(s.ctx, db, design, "other", []string{"a.example"})
		s.is(err, couch.ErrNotFound, "another view of the design document")
	}},
	{"two documents with one alias", func(s *suite) {
		db := s.db("instances")
		s.put(db, "_design/"+design, domainAndAliases)
		s.put(db, "1", `{"domain":"alice.example","domain_aliases":["both.example"]}`)
		s.put(db, "2", `{"domain":"both.example"}`)
		rows, err := s.Cluster.View(s.ctx, db, design, design, []string{"both.example"})
		if err != nil || len(rows) != 2 || rows[0].ID != "1" || rows[1].ID != "2" {
			s.Fatalf("%v, %v", rows, err)
		}
	}},
}

// keepsDoc checks a document that is at hand.
func (s *suite) keepsDoc(doc json.RawMessage, want string) {
	s.Helper()
	got, err := json.Marshal(s.body(doc))
	if err != nil {
		s.Fatal(err)
	}
	wanted, err := json.Marshal(s.body(json.RawMessage(want)))
	if err != nil {
		s.Fatal(err)
	}
	if string(got) != string(wanted) {
		s.Fatalf("got %s, want %s", got, wanted)
	}
}
