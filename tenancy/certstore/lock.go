// Locks: taking one, and waiting for it.

package certstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// maxSightings bounds what is remembered of locks that others hold.
const maxSightings = 4096

// locks are those that are held, and what was seen of others.
type locks struct {
	mu   sync.Mutex
	held map[string]*held
	seen map[string]sighting
}

// sighting is a revision of a lock that others hold, and since when it was seen.
type sighting struct {
	rev   string
	since time.Time
}

func newLocks() locks { return locks{held: map[string]*held{}, seen: map[string]sighting{}} }

// lockDocument is a lock that somebody holds.
type lockDocument struct {
	ID        string   `json:"_id,omitempty"`
	Rev       string   `json:"_rev,omitempty"`
	Holder    string   `json:"holder"`   // of this one taking, and nobody else's
	Node      string   `json:"node"`     // for people
	LeaseMS   int64    `json:"lease_ms"` // how long it is good without being written anew
	Conflicts []string `json:"_conflicts,omitempty"`
}

func (d *lockDocument) lease() time.Duration {
	lease := time.Duration(d.LeaseMS) * time.Millisecond
	if lease <= 0 || lease > MaxLease {
		return MaxLease // it was written by somebody else's hand
	}
	return lease
}

// Lock takes a lock, and waits for it as long as ctx lives. Two of one process
// exclude each other as well. Where the store does not answer, the error is a
// tenancy.ErrUnavailable. What Close finds locked it releases.
//
// Two requests for a lock that is free; where it is held, two, and then one each
// second. A lock is renewed by two requests each third of its lease, for all that
// are held together.
func (s *Store) Lock(ctx context.Context, name string) error {
	_, err := s.acquire(ctx, name, true)
	return err
}

// TryLock takes a lock that is free, or that its holder has left for the time of
// its lease while this Store looked, by whatever call; otherwise it is false. Two
// requests.
func (s *Store) TryLock(ctx context.Context, name string) (bool, error) {
	return s.acquire(ctx, name, false)
}

func (s *Store) acquire(ctx context.Context, name string, wait bool) (bool, error) {
	if len(name) > MaxKey {
		return false, fmt.Errorf("lock: a name of %d bytes is %w: the limit is %d", len(name), ErrTooLarge, MaxKey)
	}
	if err := s.enter(ctx); err != nil {
		return false, fmt.Errorf("lock %s: %w", name, err)
	}
	defer s.leave()
	doc := lockDocument{ID: lockID(name), Holder: s.token(), Node: s.node, LeaseMS: s.leaseNow().Milliseconds()}
	for first := true; ; first = false {
		var taken *held
		unsure := false // whether the document may be there, and ours
		err := s.read(ctx, false, func(ctx context.Context) error {
			return s.bounded(ctx, s.times.Lock, func(ctx context.Context) (err error) {
				taken, unsure, err = s.attempt(ctx, name, doc, first)
				return err
			})
		})
		if err != nil {
			if unsure {
				s.abandon(doc)
			}
			return false, fmt.Errorf("lock %s: %w", name, err)
		}
		if taken != nil {
			if !s.hold(taken) {
				s.abandon(doc)
				return false, fmt.Errorf("lock %s: %w", name, ErrClosed)
			}
			return true, nil
		}
		if !wait {
			return false, nil
		}
		if err := s.pause(ctx, s.times.Poll); err != nil {
			return false, fmt.Errorf("lock %s: %w", name, err)
		}
	}
}

// attempt tries once; taken is nil where somebody else has the lock. The first
// attempt expects it to be free, the others look first.
func (s *Store) attempt(ctx context.Context, name string, doc lockDocument, first bool) (taken *held, unsure bool, err error) {
	put := func(rev string) (bool, error) {
		doc.Rev = rev
		unsure = true
		begun := s.now()
		_, err := s.cluster.Put(ctx, s.db, doc.ID, doc)
		if errors.Is(err, couch.ErrNotFound) { // the database
			if err = s.ensure(ctx); err == nil {
				_, err = s.cluster.Put(ctx, s.db, doc.ID, doc)
			}
		}
		if errors.Is(err, couch.ErrConflict) {
			unsure = false
			return false, nil
		}
		if err != nil {
			return false, err
		}
		taken, err = s.confirm(ctx, name, doc, begun)
		return true, err
	}
	if first {
		if done, err := put(""); done || err != nil {
			return taken, unsure, err
		}
	}
	begun := s.now()
	present, err := s.lockDocument(ctx, doc.ID)
	switch {
	case errors.Is(err, couch.ErrNotFound):
		_, err = put("")
	case err != nil:
	case present.Holder == doc.Holder: // the answer to an attempt before was lost
		unsure = true
		taken, err = s.confirm(ctx, name, doc, begun)
	case s.isStale(name, present):
		s.log.Info("taking over a lock that its holder has left", zap.String("lock", name), zap.String("holder", present.Node), zap.Duration("lease", present.lease()))
		_, err = put(present.Rev)
	}
	return taken, unsure, err
}

// confirm reads a lock back that was just written. In a divided cluster another may
// have it too; then all see the same winner, which clears the others away.
func (s *Store) confirm(ctx context.Context, name string, doc lockDocument, begun time.Time) (*held, error) {
	present, err := s.lockDocument(ctx, doc.ID)
	if errors.Is(err, couch.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !s.prevails(ctx, name, doc.Holder, present) {
		return nil, nil
	}
	return &held{
		name: name, doc: doc, rev: present.Rev, lease: time.Duration(doc.LeaseMS) * time.Millisecond,
		sure: begun, turn: make(chan struct{}, 1),
	}, nil
}

// prevails tells whether the present document of a lock is a holder's, and removes
// what lost against it. A holder that lost leaves that to the winner: its next
// renewal finds its revision gone.
func (s *Store) prevails(ctx context.Context, name, holder string, present *lockDocument) bool {
	if present.Holder != holder {
		return false
	}
	for _, rev := range present.Conflicts {
		s.log.Warn("two halves of a divided cluster gave one lock away; this holder keeps it", zap.String("lock", name))
		if _, err := s.cluster.Delete(ctx, s.db, present.ID, rev); err != nil {
			s.log.Debug("the other revision of the lock stays until the next renewal", zap.String("lock", name), zap.Error(err))
		}
	}
	return true
}

func (s *Store) lockDocument(ctx context.Context, id string) (*lockDocument, error) {
	raw, err := s.cluster.GetWithConflicts(ctx, s.db, id)
	if err != nil {
		return nil, err
	}
	return parseLock(raw)
}

func parseLock(raw json.RawMessage) (*lockDocument, error) {
	doc := new(lockDocument)
	if err := json.Unmarshal(raw, doc); err != nil {
		return nil, fmt.Errorf("the document of a lock cannot be read: %w", err)
	}
	return doc, nil
}

// isStale tells whether this Store has seen one revision of a lock for the whole
// lease. Its own clock alone counts, from when the answer with the revision was in.
func (s *Store) isStale(name string, present *lockDocument) bool {
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	now := s.now()
	known, ok := s.locks.seen[name]
	if ok && known.rev == present.Rev {
		return now.Sub(known.since) >= present.lease()
	}
	if len(s.locks.seen) >= maxSightings {
		for other := range s.locks.seen {
			delete(s.locks.seen, other) // any: it is seen again
			break
		}
	}
	s.locks.seen[name] = sighting{rev: present.Rev, since: now}
	return false
}

// hold notes a lock that was taken; false where the Store was closed meanwhile.
func (s *Store) hold(h *held) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	delete(s.locks.seen, h.name)
	s.locks.held[h.name] = h
	return true
}

// abandon removes a lock whose taking was given up, if it was taken, without making
// the caller wait. What it leaves is taken over after the lease.
func (s *Store) abandon(doc lockDocument) {
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.times.Lock)
		defer cancel()
		present, err := s.lockDocument(ctx, doc.ID)
		if err == nil && present.Holder == doc.Holder {
			_, err = s.cluster.Delete(ctx, s.db, doc.ID, present.Rev)
		}
		if err != nil && !errors.Is(err, couch.ErrNotFound) {
			s.log.Debug("a lock that was given up stays for its lease", zap.String("lock", doc.ID), zap.Error(err))
		}
	})
}
