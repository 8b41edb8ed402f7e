// Group commit: one writer, which merges the writes that wait into one transaction.

package embedded

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// maxGroup bounds the writes that share a transaction, and those that wait for it.
const maxGroup = 256

// States of a write. A caller whose context ends may take its write back while
// it is queued; once it is taken, the caller waits for the truth.
const (
	queued int32 = iota
	taken
	withdrawn
)

// write is one operation on its way to disk.
type write struct {
	// apply may be run more than once, each time in a new transaction. An error
	// that is a refusal means that it has written nothing.
	apply func(*batch) error
	state atomic.Int32
	done  chan error // buffered: the writer never waits for a caller
}

// commit runs apply in a transaction, and returns when that is on disk. A nil
// error means durable; a refusal, or the context's error, means that nothing was
// written.
func (s *Store) commit(ctx context.Context, apply func(*batch) error) error {
	if _, err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	w := &write{apply: apply, done: make(chan error, 1)}
	select {
	case s.queue <- w:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		if w.state.CompareAndSwap(queued, withdrawn) {
			return ctx.Err()
		}
		return <-w.done
	}
}

// writeLoop is the writer. While one group is being synced the next one gathers
// in the queue, so that a lone write never waits for company, and many share the
// cost of a sync without a delay to tune.
func (s *Store) writeLoop(bolt *bbolt.DB) {
	group := make([]*write, 0, maxGroup)
	for w := range s.queue {
		group = take(group[:0], w)
	gather:
		for len(group) < maxGroup {
			select {
			case w, ok := <-s.queue:
				if !ok {
					break gather
				}
				group = take(group, w)
			default:
				break gather
			}
		}
		s.run(bolt, group)
	}
}

// take adds a write to the group, unless its caller has withdrawn it.
func take(group []*write, w *write) []*write {
	if w.state.CompareAndSwap(queued, taken) {
		return append(group, w)
	}
	return group
}

// run commits a group. An operation that fails in the middle spoils the
// transaction for all: then each runs again, alone.
func (s *Store) run(bolt *bbolt.DB, group []*write) {
	if len(group) == 0 {
		return
	}
	results := make([]error, len(group))
	touched, spoiled, err := s.transact(bolt, group, results)
	switch {
	case err == nil:
		s.wakes.wake(touched)
		for i, w := range group {
			w.done <- results[i]
		}
	case spoiled && len(group) > 1:
		for _, w := range group {
			s.run(bolt, []*write{w})
		}
	default:
		err = &failure{status: http.StatusInternalServerError, text: fmt.Sprintf("the store %s cannot write: %v", s.path, err), cause: err}
		for _, w := range group {
			w.done <- err
		}
	}
}

// transact applies a group in one transaction, and gives the databases that it
// changed. spoiled tells that an operation failed, rather than the commit.
func (s *Store) transact(bolt *bbolt.DB, group []*write, results []error) (touched []string, spoiled bool, err error) {
	err = bolt.Update(func(tx *bbolt.Tx) error {
		b := newBatch(tx)
		for i, w := range group {
			err := w.apply(b)
			if err != nil && !refused(err) {
				spoiled = true
				return err
			}
			results[i] = err
		}
		touched = b.changed()
		if len(touched) == 0 {
			return errNothing
		}
		return b.flush()
	})
	if err == errNothing { // all were refused: rolled back, without a sync
		err = nil
	}
	return touched, spoiled, err
}

// errNothing rolls back a transaction that has nothing to write.
var errNothing = fmt.Errorf("nothing to write")
