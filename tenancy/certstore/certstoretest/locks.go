// Locks: that they exclude, and end.

package certstoretest

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
)

// soon is long enough to see that somebody waits.
const soon = 50 * time.Millisecond

func (s *suite) tryLock(name string) bool {
	s.Helper()
	ok, err := s.Storage.(certmagic.TryLocker).TryLock(s.ctx, name)
	s.must(err)
	return ok
}

var lockTests = []test{
	{"lock and unlock", func(s *suite) {
		for range 3 {
			s.must(s.Lock(s.ctx, "issue_cert_example.com"))
			s.must(s.Unlock(s.ctx, "issue_cert_example.com"))
		}
	}},
	{"unlock of what is not locked", func(s *suite) {
		s.missing(s.Unlock(s.ctx, "never"), "unlock of what was never locked")
		s.must(s.Lock(s.ctx, "once"))
		s.must(s.Unlock(s.ctx, "once"))
		s.missing(s.Unlock(s.ctx, "once"), "unlock again")
	}},
	{"one waits for the other", func(s *suite) {
		s.must(s.Lock(s.ctx, "one"))
		var free atomic.Bool
		done := make(chan error, 1)
		go func() {
			err := s.Lock(s.ctx, "one")
			if err == nil && !free.Load() {
				err = errors.New("two have the lock")
			}
			done <- err
		}()
		s.must(s.Lock(s.ctx, "two"))
		s.must(s.Unlock(s.ctx, "two"))
		free.Store(true)
		s.must(s.Unlock(s.ctx, "one"))
		s.must(<-done)
		s.must(s.Unlock(s.ctx, "one"))
	}},
	{"names with odd characters", func(s *suite) {
		const name = "renew_*.example.com / é"
		s.must(s.Lock(s.ctx, name))
		if s.tryLock(name) {
			s.Error("two have the lock")
		}
		s.must(s.Unlock(s.ctx, name))
	}},
	{"a try", func(s *suite) {
		if !s.tryLock("try") {
			s.Fatal("a free lock was not given")
		}
		if s.tryLock("try") {
			s.Fatal("two have the lock")
		}
		s.must(s.Unlock(s.ctx, "try"))
		if !s.tryLock("try") {
			s.Fatal("a lock that is free again was not given")
		}
		s.must(s.Unlock(s.ctx, "try"))
	}},
	{"a wait that is given up", func(s *suite) {
		s.must(s.Lock(s.ctx, "given up"))
		ctx, cancel := context.WithTimeout(s.ctx, soon)
		defer cancel()
		if err := s.Lock(ctx, "given up"); !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("%v, want the error of the context", err)
		}
		s.must(s.Unlock(s.ctx, "given up"))
		s.must(s.Lock(s.ctx, "given up"))
		s.must(s.Unlock(s.ctx, "given up"))
	}},
	{"unlock with a context that has ended", func(s *suite) {
		ctx, cancel := context.WithCancel(s.ctx)
		s.must(s.Lock(ctx, "ended"))
		cancel()
		s.must(s.Unlock(ctx, "ended"))
		s.must(s.Lock(s.ctx, "ended"))
		s.must(s.Unlock(s.ctx, "ended"))
	}},
	{"another process", func(s *suite) {
		other := s.Again()
		s.must(s.Lock(s.ctx, "shared"))
		ctx, cancel := context.WithTimeout(s.ctx, soon)
		defer cancel()
		if err := other.Lock(ctx, "shared"); !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("%v, want the error of the context", err)
		}
		s.must(s.Unlock(s.ctx, "shared"))
		s.must(other.Lock(s.ctx, "shared"))
		s.must(other.Unlock(s.ctx, "shared"))
	}},
	{"many at once", func(s *suite) {
		var inside, most, taken atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := s.Lock(s.ctx, "many"); err != nil {
					s.Error(err)
					return
				}
				most.Store(max(most.Load(), inside.Add(1)))
				taken.Add(1)
				_, _ = s.Load(s.ctx, "something")
				inside.Add(-1)
				if err := s.Unlock(s.ctx, "many"); err != nil {
					s.Error(err)
				}
			})
		}
		all.Wait()
		if most.Load() != 1 || taken.Load() != 4 {
			s.Errorf("%d held it at once, %d in all", most.Load(), taken.Load())
		}
	}},
	{"locks are no values", func(s *suite) {
		s.must(s.Lock(s.ctx, "hidden"))
		if _, err := s.Load(s.ctx, "hidden"); !errors.Is(err, fs.ErrNotExist) {
			s.Errorf("load: %v", err)
		}
		s.must(s.Store(s.ctx, "hidden", []byte("value")))
		s.must(s.Delete(s.ctx, "hidden"))
		if s.tryLock("hidden") {
			s.Error("two have the lock")
		}
		s.must(s.Unlock(s.ctx, "hidden"))
	}},
}
