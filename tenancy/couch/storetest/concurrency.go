// Concurrency: writers that meet, and calls that are given up.

package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// together runs fn n times at once and gives the errors.
func together(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// oneWins checks that one of many succeeded and the others had a conflict.
func (s *suite) oneWins(errs []error) {
	s.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			s.is(err, couch.ErrConflict, "a loser")
		}
	}
	if won != 1 {
		s.Fatalf("%d of %d writers won", won, len(errs))
	}
}

var concurrencyTests = []test{
	{"one writer wins each round", func(s *suite) {
		db := s.db("docs")
		rev := ""
		for round := range 15 {
			revs := make([]string, 8)
			errs := together(len(revs), func(i int) (err error) {
				doc := fmt.Sprintf(`{"round":%d,"writer":%d}`, round, i)
				if rev != "" {
					doc = fmt.Sprintf(`{"_rev":%q,%s`, rev, doc[1:])
				}
				revs[i], err = s.Cluster.Put(s.ctx, db, "a", json.RawMessage(doc))
				return err
			})
			s.oneWins(errs)
			for i, err := range errs {
				if err == nil {
					rev = revs[i]
					s.keeps(db, "a", fmt.Sprintf(`{"round":%d,"writer":%d}`, round, i))
				}
			}
		}
		doc, err := s.Cluster.GetWithConflicts(s.ctx, db, "a")
		if err != nil {
			s.Fatal(err)
		}
		s.keepsDoc(doc, string(doc))
		if _, there := s.body(doc)["_conflicts"]; there {
			s.Fatalf("losers were kept: %s", doc)
		}
	}},
	{"one writer wins a claim in bulk", func(s *suite) {
		db := s.db("claims")
		for round := range 5 {
			s.oneWins(together(6, func(i int) error {
				results, err := s.Cluster.Bulk(s.ctx, db, []any{
					map[string]any{"_id": fmt.Sprintf("name-%d", round), "owner": i},
					map[string]any{"_id": fmt.Sprintf("own-%d-%d", round, i)},
				})
				if err != nil {
					return err
				}
				if results[1].Err != nil {
					return fmt.Errorf("a document of one's own: %w", results[1].Err)
				}
				return results[0].Err
			}))
		}
	}},
	{"one deletion wins", func(s *suite) {
		db := s.db("docs")
		for range 5 {
			rev := s.put(db, "a", `{}`)
			won := 0
			for _, err := range together(6, func(int) error {
				_, err := s.Cluster.Delete(s.ctx, db, "a", rev)
				return err
			}) {
				switch {
				case err == nil:
					won++
				case errors.Is(err, couch.ErrConflict), errors.Is(err, couch.ErrNotFound):
				default:
					s.Fatal(err)
				}
			}
			if won != 1 {
				s.Fatalf("%d deletions of one document", won)
			}
		}
	}},
	{"no update is lost", func(s *suite) {
		db := s.db("docs")
		s.put(db, "counter", `{"n":0}`)
		const writers, each = 6, 8
		type counter struct {
			Rev string `json:"_rev"`
			N   int    `json:"n"`
		}
		for _, err := range together(writers, func(int) error {
			for done := 0; done < each; {
				raw, err := s.Cluster.Get(s.ctx, db, "counter")
				if err != nil {
					return err
				}
				var c counter
				if err := json.Unmarshal(raw, &c); err != nil {
					return err
				}
				c.N++
				switch _, err := s.Cluster.Put(s.ctx, db, "counter", c); {
				case err == nil:
					done++
				case !errors.Is(err, couch.ErrConflict):
					return err
				}
			}
			return nil
		}) {
			if err != nil {
				s.Fatal(err)
			}
		}
		s.keeps(db, "counter", fmt.Sprintf(`{"n":%d}`, writers*each))
	}},
	{"databases made at once", func(s *suite) {
		// Which of them made it is not said: CouchDB's nodes may each say that they did.
		db := s.Prefix + "s/one"
		for _, err := range together(6, func(int) error {
			_, err := s.Cluster.CreateDB(s.ctx, db)
			return err
		}) {
			if err != nil {
				s.Fatal(err)
			}
		}
		s.put(db, "a", `{}`)
		for _, err := range together(16, func(i int) error {
			_, err := s.Cluster.CreateDB(s.ctx, fmt.Sprintf("%ss/db-%d", s.Prefix, i))
			return err
		}) {
			if err != nil {
				s.Fatal(err)
			}
		}
		for i := range 16 {
			s.put(fmt.Sprintf("%ss/db-%d", s.Prefix, i), "a", `{}`)
		}
		for _, err := range together(16, func(i int) error {
			_, err := s.Cluster.DestroyDB(s.ctx, fmt.Sprintf("%ss/db-%d", s.Prefix, i))
			return err
		}) {
			if err != nil {
				s.Fatal(err)
			}
		}
	}},
	{"a cancelled call is its caller's", func(s *suite) {
		db := s.db("docs")
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		_, err := s.Cluster.Get(ctx, db, "a")
		s.is(err, context.Canceled, "get")
		if errors.Is(err, tenancy.ErrUnavailable) || errors.Is(err, couch.ErrRefused) {
			s.Fatalf("%v is the store's fault", err)
		}
		_, err = s.Cluster.Put(ctx, db, "a", json.RawMessage(`{}`))
		s.is(err, context.Canceled, "put")
		err = s.Cluster.Walk(ctx, db, couch.Range{}, func(couch.Row) error { return nil })
		s.is(err, context.Canceled, "walk")
		_, _, err = s.Cluster.Changes(ctx, db, couch.Feed{}, nil)
		s.is(err, context.Canceled, "changes")
	}},
	{"calls after Close are refused", func(s *suite) {
		db := s.db("docs")
		done := s.poll(s.ctx, db, couch.Feed{Wait: patience})
		if err := s.Cluster.Close(); err != nil {
			s.Fatal(err)
		}
		if a := s.receive(done, soon, "a feed under way"); a.err == nil {
			s.Fatalf("%+v", a)
		}
		if _, err := s.Cluster.Get(s.ctx, db, "a"); err == nil {
			s.Fatal("a call after Close")
		}
	}},
}
