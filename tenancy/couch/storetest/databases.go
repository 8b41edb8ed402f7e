// Databases: making, dropping, listing them, and what they say of themselves.

package storetest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

var databaseTests = []test{
	{"create and destroy", func(s *suite) {
		db := s.Prefix + "s/one"
		for i, want := range []bool{true, false} {
			created, err := s.Cluster.CreateDB(s.ctx, db)
			if err != nil || created != want {
				s.Fatalf("create %d: created %v, %v; want %v", i+1, created, err, want)
			}
		}
		for i, want := range []bool{true, false} {
			existed, err := s.Cluster.DestroyDB(s.ctx, db)
			want = want || s.differs(DestroyUnknowing)
			if err != nil || existed != want {
				s.Fatalf("destroy %d: existed %v, %v; want %v", i+1, existed, err, want)
			}
		}
	}},
	{"a missing database is not found", func(s *suite) {
		db := s.Prefix + "s/missing"
		s.missing(db)
	}},
	{"a destroyed database is not found, and comes back empty", func(s *suite) {
		db := s.db("gone")
		s.put(db, "a", `{}`)
		if _, err := s.Cluster.DestroyDB(s.ctx, db); err != nil {
			s.Fatal(err)
		}
		s.missing(db)
		s.db("gone")
		s.same(s.walk(db, couch.Range{}), []string{}, "documents of a new database with an old name")
		_, err := s.Cluster.Get(s.ctx, db, "a")
		s.is(err, couch.ErrNotFound, "a document of the old one")
	}},
	{"names", func(s *suite) {
		// Each has the characters of a kind; a slash is part of a name, no folder.
		names := []string{"a/b", "a/b/c", "a-b", "a_b", "a(b)", "a+b", "a$b", "ab0"}
		for _, name := range names {
			s.put(s.db(name), "who", `{"name":"`+name+`"}`)
		}
		for _, name := range names {
			s.keeps(s.Prefix+"s/"+name, "who", `{"name":"`+name+`"}`)
		}
	}},
	{"illegal names are refused", func(s *suite) {
		for _, name := range []string{"", "A", "1a", "a b", "a.b", "a:b", "../a", "a\"b", "a%2fb", "é", "a\x00", "/a", "_"} {
			_, err := s.Cluster.CreateDB(s.ctx, name)
			s.is(err, couch.ErrRefused, "creating "+name)
			_, err = s.Cluster.DestroyDB(s.ctx, name)
			s.is(err, couch.ErrRefused, "destroying "+name)
			_, err = s.Cluster.Get(s.ctx, name, "a")
			s.is(err, couch.ErrRefused, "reading from "+name)
			_, err = s.Cluster.Bulk(s.ctx, name, []any{json.RawMessage(`{"_id":"a"}`)})
			s.is(err, couch.ErrRefused, "writing to "+name)
			_, _, err = s.Cluster.Changes(s.ctx, name, couch.Feed{}, nil)
			s.is(err, couch.ErrRefused, "following "+name)
		}
	}},
	{"list", func(s *suite) {
		var want []string
		for _, name := range []string{"a/x", "a/y", "ab/x", "b/x"} {
			s.db(name)
		}
		for _, list := range []struct {
			prefix string
			names  []string
		}{
			{"s/", []string{"s/a/x", "s/a/y", "s/ab/x", "s/b/x"}},
			{"s/a", []string{"s/a/x", "s/a/y", "s/ab/x"}},
			{"s/a/", []string{"s/a/x", "s/a/y"}},
			{"s/b/x", []string{"s/b/x"}},
			{"s/c", nil},
		} {
			prefix := s.Prefix + list.prefix
			if s.differs(SlashLeftOut) {
				if names, err := s.Cluster.ListDBs(s.ctx, prefix); err != nil || len(names) != 0 {
					s.Fatalf("a list by a prefix with a slash: %q, %v: the difference %q is gone", names, err, SlashLeftOut)
				}
				continue
			}
			names, err := s.Cluster.ListDBs(s.ctx, prefix)
			if err != nil {
				s.Fatal(err)
			}
			want = want[:0]
			for _, name := range list.names {
				want = append(want, s.Prefix+name)
			}
			s.same(names, want, "databases beginning with "+list.prefix)
		}
		want = []string{"s/a/x", "s/a/y", "s/ab/x", "s/b/x"}
		for i, name := range want {
			want[i] = s.Prefix + name
			if s.differs(SlashLeftOut) {
				want[i] = strings.ReplaceAll(want[i], "/", "")
			}
		}
		slices.Sort(want)
		names, err := s.Cluster.ListDBs(s.ctx, s.Prefix)
		if err != nil {
			s.Fatal(err)
		}
		s.same(names, want, "databases of this test")
	}},
	{"info", func(s *suite) {
		db := s.db("info")
		seen := map[string]bool{}
		check := func(docs int64) couch.Info {
			s.Helper()
			info, err := s.Cluster.Info(s.ctx, db)
			if err != nil {
				s.Fatal(err)
			}
			if info.Docs != docs {
				s.Fatalf("%d documents, want %d", info.Docs, docs)
			}
			if info.UpdateSeq == "" || seen[info.UpdateSeq] {
				s.Fatalf("the update sequence %q is empty, or one of %v", info.UpdateSeq, seen)
			}
			seen[info.UpdateSeq] = true
			return info
		}
		first := check(0)
		rev := s.put(db, "a", `{}`)
		check(1)
		s.put(db, "_design/x", `{"language":"query","views":{}}`)
		check(2)
		s.remove(db, "a", rev)
		last := check(1)
		if last.Born != first.Born {
			s.Fatalf("one database was born at %q and %q", first.Born, last.Born)
		}
		// A follower that has read up to the update sequence misses nothing.
		changes := s.changes(db, couch.Feed{Since: last.UpdateSeq})
		if len(changes) != 0 {
			s.Fatalf("changes after the update sequence: %+v", changes)
		}
	}},
	{"born", func(s *suite) {
		db := s.db("born")
		born := func() string {
			s.Helper()
			info, err := s.Cluster.Info(s.ctx, db)
			if err != nil {
				s.Fatal(err)
			}
			if s.differs(BornUnknown) != (info.Born == "") {
				s.Fatalf("born %q; known difference %q: %v", info.Born, BornUnknown, s.differs(BornUnknown))
			}
			return info.Born
		}
		first := born()
		if first == "" {
			return
		}
		// It may be told in seconds.
		for begun := time.Now(); born() == first; {
			if time.Since(begun) > 3*time.Second {
				s.Fatalf("databases of one name were all born at %q", first)
			}
			if _, err := s.Cluster.DestroyDB(s.ctx, db); err != nil {
				s.Fatal(err)
			}
			s.db("born")
		}
	}},
}

// missing checks that each call says that the database is not there.
func (s *suite) missing(db string) {
	s.Helper()
	_, err := s.Cluster.Info(s.ctx, db)
	s.is(err, couch.ErrNotFound, "info")
	_, err = s.Cluster.Get(s.ctx, db, "a")
	s.is(err, couch.ErrNotFound, "get")
	_, err = s.Cluster.Put(s.ctx, db, "a", json.RawMessage(`{}`))
	s.is(err, couch.ErrNotFound, "put")
	_, err = s.Cluster.Delete(s.ctx, db, "a", "1-abc")
	s.is(err, couch.ErrNotFound, "delete")
	_, err = s.Cluster.Bulk(s.ctx, db, []any{json.RawMessage(`{"_id":"a"}`)})
	s.is(err, couch.ErrNotFound, "bulk")
	err = s.Cluster.Walk(s.ctx, db, couch.Range{}, func(couch.Row) error { return nil })
	s.is(err, couch.ErrNotFound, "walk")
	_, err = s.Cluster.GetMany(s.ctx, db, []string{"a"})
	s.is(err, couch.ErrNotFound, "get many")
	_, err = s.Cluster.View(s.ctx, db, design, design, []string{"a"})
	s.is(err, couch.ErrNotFound, "view")
	for _, wait := range []time.Duration{0, patience} {
		_, _, err = s.Cluster.Changes(s.ctx, db, couch.Feed{Wait: wait}, func(couch.Change) error { return nil })
		s.is(err, couch.ErrNotFound, "changes")
	}
}
