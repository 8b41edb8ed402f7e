// Waiting: the feed by longpoll.

package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// answer is what a longpoll in the background came to.
type answer struct {
	changes []couch.Change
	last    string
	err     error
	took    time.Duration
}

// poll waits for a change in the background. It returns when the request is under
// way; the server need not have it yet, since either order must work.
func (s *suite) poll(ctx context.Context, db string, feed couch.Feed) <-chan answer {
	s.Helper()
	before := s.Cluster.Calls()
	done := make(chan answer, 1)
	go func() {
		var a answer
		begun := time.Now()
		a.last, _, a.err = s.Cluster.Changes(ctx, db, feed, func(c couch.Change) error {
			a.changes = append(a.changes, c)
			return nil
		})
		a.took = time.Since(begun)
		done <- a
	}()
	for s.Cluster.Calls() == before {
		runtime.Gosched()
	}
	return done
}

// receive takes the answer, which must come by itself within the limit.
func (s *suite) receive(done <-chan answer, limit time.Duration, what string) answer {
	s.Helper()
	select {
	case a := <-done:
		return a
	case <-time.After(limit):
		s.Fatalf("%s: no answer within %s", what, limit)
		return answer{}
	}
}

// soon is how long a change may take to be heard of; a second or so on an idle
// machine, and more on one with many tests.
const soon = 10 * time.Second

var waitingTests = []test{
	{"a feed that is cancelled while it is read", func(s *suite) {
		db := s.db("docs")
		var docs []any
		for i := range 200 {
			docs = append(docs, map[string]any{"_id": fmt.Sprintf("d%03d", i)})
		}
		if _, err := s.Cluster.Bulk(s.ctx, db, docs); err != nil {
			s.Fatal(err)
		}
		// Whatever the moment, it ends well, or with the context's error: never
		// with a change that has lost its document.
		for round := range 20 {
			ctx, cancel := context.WithCancel(s.ctx)
			_, _, err := s.Cluster.Changes(ctx, db, couch.Feed{}, func(c couch.Change) error {
				if c.ID == fmt.Sprintf("d%03d", round*7) {
					go cancel()
				}
				s.whole(c)
				return nil
			})
			cancel()
			if err != nil && !errors.Is(err, context.Canceled) {
				s.Fatal(err)
			}
		}
	}},
	{"what is there is answered at once", func(s *suite) {
		db := s.db("docs")
		s.put(db, "a", `{}`)
		a := s.receive(s.poll(s.ctx, db, couch.Feed{Wait: patience}), soon, "a change that is there")
		if a.err != nil {
			s.Fatal(a.err)
		}
		s.same(summary(a.changes), []string{"a"}, "changes")
		s.whole(a.changes[0])
	}},
	{"a change is heard of", func(s *suite) {
		db := s.db("docs")
		rev := s.put(db, "a", `{"n":0}`)
		_, since, _ := s.read(db, couch.Feed{})
		next := func(want string, change func()) {
			s.Helper()
			done := s.poll(s.ctx, db, couch.Feed{Since: since, Wait: patience})
			change()
			a := s.receive(done, soon, want)
			if a.err != nil {
				s.Fatal(a.err)
			}
			s.same(summary(a.changes), []string{want}, "changes")
			s.whole(a.changes[0])
			since = a.last
		}
		next("a", func() { rev = s.put(db, "a", `{"_rev":"`+rev+`","n":1}`) })
		next("b", func() { s.put(db, "b", `{}`) })
		next("a deleted", func() { s.remove(db, "a", rev) })
		next("a", func() { s.put(db, "a", `{}`) })
		next("c", func() { s.fill(db, "c") })
		s.same(summary(s.changes(db, couch.Feed{Since: since})), []string{}, "changes since the last")
	}},
	{"from the beginning of an empty database", func(s *suite) {
		db := s.db("docs")
		done := s.poll(s.ctx, db, couch.Feed{Wait: patience})
		s.put(db, "a", `{}`)
		a := s.receive(done, soon, "the first change of all")
		if a.err != nil {
			s.Fatal(a.err)
		}
		s.same(summary(a.changes), []string{"a"}, "changes")
	}},
	{"a change of another database is not", func(s *suite) {
		db, other := s.db("docs"), s.db("docs/other")
		done := s.poll(s.ctx, db, couch.Feed{Wait: patience})
		s.put(other, "x", `{}`)
		s.put(db, "a", `{}`)
		a := s.receive(done, soon, "a change")
		if a.err != nil {
			s.Fatal(a.err)
		}
		s.same(summary(a.changes), []string{"a"}, "changes")
	}},
	{"nothing within the time is an answer without changes", func(s *suite) {
		db := s.db("docs")
		s.put(db, "a", `{}`)
		_, since, _ := s.read(db, couch.Feed{})
		const wait = 300 * time.Millisecond
		a := s.receive(s.poll(s.ctx, db, couch.Feed{Since: since, Wait: wait}), patience, "a quiet database")
		if a.err != nil || len(a.changes) != 0 || a.last == "" {
			s.Fatalf("%+v", a)
		}
		if a.took < wait {
			s.Fatalf("answered after %s, and was to wait %s", a.took, wait)
		}
		if late := a.took > wait+2*time.Second; late != s.differs(NoFeedTimeout) {
			s.Fatalf("answered after %s; known difference %q: %v", a.took, NoFeedTimeout, s.differs(NoFeedTimeout))
		}
		s.put(db, "b", `{}`)
		s.same(summary(s.changes(db, couch.Feed{Since: a.last})), []string{"b"}, "changes since a quiet answer")
	}},
	{"cancelling ends it", func(s *suite) {
		db := s.db("docs")
		ctx, cancel := context.WithCancel(s.ctx)
		done := s.poll(ctx, db, couch.Feed{Wait: patience})
		cancel()
		a := s.receive(done, soon, "a cancelled feed")
		if !errors.Is(a.err, context.Canceled) || len(a.changes) != 0 {
			s.Fatalf("%+v", a)
		}
	}},
	{"a deadline ends it", func(s *suite) {
		db := s.db("docs")
		ctx, cancel := context.WithTimeout(s.ctx, 200*time.Millisecond)
		defer cancel()
		a := s.receive(s.poll(ctx, db, couch.Feed{Wait: patience}), soon, "a feed with a deadline")
		if !errors.Is(a.err, context.DeadlineExceeded) {
			s.Fatalf("%+v", a)
		}
	}},
	{"a destroyed database", func(s *suite) {
		db := s.db("docs")
		s.put(db, "a", `{}`)
		_, since, _ := s.read(db, couch.Feed{})
		done := s.poll(s.ctx, db, couch.Feed{Since: since, Wait: 2 * time.Second})
		if _, err := s.Cluster.DestroyDB(s.ctx, db); err != nil {
			s.Fatal(err)
		}
		// How it ends is not documented; that it ends is what a follower needs.
		a := s.receive(done, patience, "a feed of a database that is destroyed")
		if len(a.changes) != 0 {
			s.Fatalf("%+v", a)
		}
		if s.differs(FeedRevives) {
			if _, err := s.Cluster.DestroyDB(s.ctx, db); err != nil {
				s.Fatal(err)
			}
		}
		_, _, err := s.Cluster.Changes(s.ctx, db, couch.Feed{Since: since, Wait: patience}, nil)
		s.is(err, couch.ErrNotFound, "the next call")
	}},
	{"many feeds of one database", func(s *suite) {
		db := s.db("docs")
		const followers = 20
		// Short, since CouchDB can lose the wake-up of a feed that is just beginning: a
		// change that came between its reading and its listening is in the next answer.
		feed := couch.Feed{Wait: time.Second}
		var feeds []<-chan answer
		for range followers {
			feeds = append(feeds, s.poll(s.ctx, db, feed))
		}
		s.put(db, "a", `{}`)
		for _, done := range feeds {
			a := s.receive(done, patience, "one of many feeds")
			for a.err == nil && len(a.changes) == 0 && s.ctx.Err() == nil {
				a = s.receive(s.poll(s.ctx, db, feed), patience, "one of many feeds")
			}
			if a.err != nil {
				s.Fatal(a.err)
			}
			s.same(summary(a.changes), []string{"a"}, "changes")
		}
	}},
}
