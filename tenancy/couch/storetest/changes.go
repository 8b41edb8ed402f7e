// Changes: the feed, read without waiting.

package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// changes reads one answer of a feed.
func (s *suite) changes(db string, feed couch.Feed) []couch.Change {
	s.Helper()
	changes, _, _ := s.read(db, feed)
	return changes
}

// read reads one answer, and checks each change in itself.
func (s *suite) read(db string, feed couch.Feed) (changes []couch.Change, last string, more bool) {
	s.Helper()
	last, more, err := s.Cluster.Changes(s.ctx, db, feed, func(c couch.Change) error {
		s.Helper()
		s.whole(c)
		changes = append(changes, c)
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	if last == "" {
		s.Fatal("no sequence to go on from")
	}
	return changes, last, more
}

func (s *suite) whole(c couch.Change) {
	s.Helper()
	var doc struct {
		ID      string `json:"_id"`
		Rev     string `json:"_rev"`
		Deleted bool   `json:"_deleted"`
	}
	if err := json.Unmarshal(c.Doc, &doc); err != nil {
		s.Fatalf("change of %q: %v: %q", c.ID, err, c.Doc)
	}
	if doc.ID != c.ID || doc.Rev != c.Rev || doc.Rev == "" || doc.Deleted != c.Deleted {
		s.Fatalf("change of %q at %q, deleted %v, has the document %s", c.ID, c.Rev, c.Deleted, c.Doc)
	}
}

// sorted is the summary in an order of its own: a database of several shards keeps
// the order of changes within each only.
func sorted(changes []couch.Change) []string {
	out := summary(changes)
	slices.Sort(out)
	return out
}

// summary is what changes say, without the revisions.
func summary(changes []couch.Change) []string {
	out := []string{}
	for _, c := range changes {
		text := c.ID
		if c.Deleted {
			text += " deleted"
		}
		out = append(out, text)
	}
	return out
}

var changesTests = []test{
	{"from the beginning", func(s *suite) {
		db := s.db("docs")
		changes, last, more := s.read(db, couch.Feed{})
		if len(changes) != 0 || more {
			s.Fatalf("an empty database: %v, more %v", changes, more)
		}
		s.same(summary(s.changes(db, couch.Feed{Since: last})), []string{}, "nothing after nothing")
		a := s.put(db, "a", `{"n":1}`)
		s.put(db, "_design/"+design, domainAndAliases)
		s.put(db, "é/日本", `{"n":2}`)
		changes = s.changes(db, couch.Feed{})
		s.same(sorted(changes), []string{"_design/" + design, "a", "é/日本"}, "changes")
		for _, c := range changes {
			if c.ID == "a" && c.Rev != a {
				s.Fatalf("revision %s, want %s", c.Rev, a)
			}
			if c.ID == "é/日本" {
				s.keepsDoc(c.Doc, `{"n":2}`)
			}
		}
		s.same(sorted(s.changes(db, couch.Feed{Since: last})), sorted(changes), "changes since the empty database")
	}},
	{"the last change only", func(s *suite) {
		db := s.db("docs")
		a := s.put(db, "a", `{"n":1}`)
		s.put(db, "b", `{"n":1}`)
		a = s.put(db, "a", `{"_rev":"`+a+`","n":2}`)
		c := s.put(db, "c", `{"n":1}`)
		s.put(db, "a", `{"_rev":"`+a+`","n":3}`)
		s.remove(db, "c", c)
		changes := s.changes(db, couch.Feed{})
		s.same(sorted(changes), []string{"a", "b", "c deleted"}, "changes")
		for _, c := range changes {
			if c.ID == "a" {
				s.keepsDoc(c.Doc, `{"n":3}`)
			}
		}
		s.put(db, "c", `{"n":4}`)
		changes = s.changes(db, couch.Feed{})
		s.same(sorted(changes), []string{"a", "b", "c"}, "changes after a document came back")
	}},
	{"since", func(s *suite) {
		db := s.db("docs")
		a := s.put(db, "a", `{}`)
		_, last, _ := s.read(db, couch.Feed{})
		s.same(summary(s.changes(db, couch.Feed{Since: last})), []string{}, "changes since now")
		s.put(db, "b", `{}`)
		s.remove(db, "a", a)
		changes, last, more := s.read(db, couch.Feed{Since: last})
		s.same(sorted(changes), []string{"a deleted", "b"}, "changes since")
		if more {
			s.Fatal("more than all")
		}
		again, same, _ := s.read(db, couch.Feed{Since: last})
		s.same(summary(again), []string{}, "changes since the last")
		// What an answer without changes says must lead on as well.
		s.put(db, "c", `{}`)
		s.same(summary(s.changes(db, couch.Feed{Since: same})), []string{"c"}, "changes since a quiet answer")
	}},
	{"a deletion has no more than its id and revision", func(s *suite) {
		db := s.db("docs")
		rev := s.remove(db, "a", s.put(db, "a", `{"secret":"x"}`))
		changes := s.changes(db, couch.Feed{})
		if len(changes) != 1 || changes[0].Rev != rev {
			s.Fatalf("%+v, want revision %s", changes, rev)
		}
		s.keepsDoc(changes[0].Doc, `{"_deleted":true}`)
	}},
	{"limit and more", func(s *suite) {
		db := s.db("docs")
		ids := numbered(25)
		s.fill(db, ids...)
		var since string
		var all []string
		for i, want := range []struct {
			n    int
			more bool
		}{{10, true}, {10, true}, {5, false}, {0, false}} {
			changes, last, more := s.read(db, couch.Feed{Since: since, Limit: 10})
			if len(changes) != want.n || more != want.more {
				s.Fatalf("page %d: %d changes, more %v", i, len(changes), more)
			}
			all, since = append(all, summary(changes)...), last
		}
		slices.Sort(all)
		s.same(all, ids, "all pages")
	}},
	{"more than a page", func(s *suite) {
		db := s.db("docs")
		ids := numbered(couch.PageSize + 300)
		s.fill(db, ids...)
		first, last, more := s.read(db, couch.Feed{})
		if len(first) != couch.PageSize || !more {
			s.Fatalf("%d changes, more %v", len(first), more)
		}
		second, _, more := s.read(db, couch.Feed{Since: last})
		if more {
			s.Fatal("more after the last page")
		}
		all := append(summary(first), summary(second)...)
		slices.Sort(all)
		s.same(all, ids, "two pages")
	}},
	{"an error ends it", func(s *suite) {
		db := s.db("docs")
		s.fill(db, numbered(500)...)
		_, since, _ := s.read(db, couch.Feed{Limit: 5})
		stop, seen := errors.New("enough"), 0
		last, _, err := s.Cluster.Changes(s.ctx, db, couch.Feed{Since: since}, func(couch.Change) error {
			seen++
			if seen == 3 {
				return stop
			}
			return nil
		})
		if err != stop || seen != 3 || last != since {
			s.Fatalf("%v after %d changes, at %q; want %q", err, seen, last, since)
		}
	}},
	// A follower that cannot go on must hear of it: by an error, or by all of the
	// changes once more. Silence would be instances that are never routed.
	{"an unknown sequence is never taken as the last", func(s *suite) {
		db := s.db("docs")
		s.fill(db, "a", "b")
		other := s.db("other")
		s.fill(other, numbered(20)...)
		_, foreign, _ := s.read(other, couch.Feed{})
		dropped := s.db("dropped")
		s.fill(dropped, numbered(20)...)
		_, earlier, _ := s.read(dropped, couch.Feed{})
		if _, err := s.Cluster.DestroyDB(s.ctx, dropped); err != nil {
			s.Fatal(err)
		}
		s.fill(s.db("dropped"), "a", "b")
		for _, c := range []struct{ what, db, since string }{
			{"nonsense", db, "nonsense"},
			{"of another database", db, foreign},
			{"of an earlier database of this name", dropped, earlier},
		} {
			var changes []couch.Change
			_, _, err := s.Cluster.Changes(s.ctx, c.db, couch.Feed{Since: c.since}, func(c couch.Change) error {
				changes = append(changes, c)
				return nil
			})
			if err != nil {
				s.is(err, couch.ErrRefused, c.what)
				continue
			}
			want := []string{"a", "b"}
			if c.what == "nonsense" && s.differs(SequencesAreCounts) {
				want = []string{}
			}
			s.same(sorted(changes), want, "changes since a sequence "+c.what)
		}
	}},
	{"a follower ends where the database is", func(s *suite) {
		db := s.db("docs")
		random := rand.New(rand.NewPCG(1, 2)) // the same each time
		revs := map[string]string{}           // of the database
		seen := map[string]string{}           // by the follower
		since := ""
		follow := func() (more bool) {
			var changes []couch.Change
			changes, since, more = s.read(db, couch.Feed{Since: since, Limit: 1 + random.IntN(20)})
			for _, c := range changes {
				if seen[c.ID] = c.Rev; c.Deleted {
					delete(seen, c.ID)
				}
			}
			return more
		}
		for range 150 {
			id := fmt.Sprintf("doc-%d", random.IntN(30))
			switch rev, there := revs[id]; {
			case !there:
				revs[id] = s.put(db, id, `{}`)
			case random.IntN(3) == 0:
				s.remove(db, id, rev)
				delete(revs, id)
			default:
				revs[id] = s.put(db, id, `{"_rev":"`+rev+`"}`)
			}
			if random.IntN(10) == 0 {
				follow()
			}
		}
		for follow() {
		}
		if len(seen) != len(revs) {
			s.Fatalf("the follower has %d documents, the database %d", len(seen), len(revs))
		}
		for id, rev := range revs {
			if seen[id] != rev {
				s.Fatalf("the follower has %s at %q, the database at %q", id, seen[id], rev)
			}
		}
	}},
}
