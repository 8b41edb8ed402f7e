// Leases: renewing the locks that are held.

package certstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// renewBatch is how many locks are renewed in one request.
const renewBatch = 100

// held is a lock of this Store. Whoever has its turn may write its document, and the
// fields below.
type held struct {
	name string
	doc  lockDocument
	turn chan struct{}

	rev      string
	lease    time.Duration
	sure     time.Time // when the last write began that the store has taken
	lost     bool
	leaving  bool // Unlock was called: it is renewed no more
	unsure   bool // a release may have been done, though its answer was lost
	released bool // by Close
}

func (h *held) begin(ctx context.Context) error {
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *held) end() { <-h.turn }

func (s *Store) leaseNow() time.Duration { return time.Duration(s.lease.Load()) }

// RenewLockLease makes a lock that is held good for that long without being
// written, at least for the lease of the configuration and at most for MaxLease.
// It is renewed by itself in any case; a longer lease is for a process that may be
// stopped for a while. A lock that is not held is an ErrNotHeld, one that another has
// taken over an ErrLost. One request.
func (s *Store) RenewLockLease(ctx context.Context, name string, lease time.Duration) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("renew %s: %w", name, err)
	}
	defer s.leave()
	h := s.holding(name)
	if h == nil {
		return fmt.Errorf("renew %s: %w", name, ErrNotHeld)
	}
	if err := h.begin(ctx); err != nil {
		return fmt.Errorf("renew %s: %w", name, err)
	}
	defer h.end()
	if h.lost || h.leaving {
		return fmt.Errorf("renew %s: %w", name, ErrLost)
	}
	h.lease = min(max(lease, s.leaseNow()), MaxLease)
	err := s.breaker.judge(ctx, s.bounded(ctx, s.times.Lock, func(ctx context.Context) error {
		begun := s.now()
		rev, err := s.cluster.Put(ctx, s.db, h.doc.ID, h.document())
		if errors.Is(err, couch.ErrConflict) {
			var present *lockDocument
			if present, err = s.lockDocument(ctx, h.doc.ID); err == nil && present.Holder == h.doc.Holder {
				h.rev = present.Rev // the answer to a renewal was lost
				rev, err = s.cluster.Put(ctx, s.db, h.doc.ID, h.document())
			} else if err == nil || errors.Is(err, couch.ErrNotFound) {
				s.lose(h)
				return ErrLost
			}
		}
		if err == nil {
			h.rev, h.sure = rev, begun
		}
		return err
	}))
	if err != nil {
		return fmt.Errorf("renew %s: %w", name, err)
	}
	return nil
}

// document is that of the next renewal.
func (h *held) document() lockDocument {
	doc := h.doc
	doc.Rev, doc.LeaseMS = h.rev, h.lease.Milliseconds()
	return doc
}

// lose notes that another has a lock. The turn is the caller's.
func (s *Store) lose(h *held) {
	if !h.lost {
		h.lost = true
		s.log.Warn("a lock was lost to another process, since it could not be renewed in time; what it guards may be done twice",
			zap.String("lock", h.name), zap.Duration("lease", h.lease), zap.Duration("since_renewal", s.now().Sub(h.sure)))
	}
}

func (s *Store) holding(name string) *held {
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	return s.locks.held[name]
}

// forget takes a lock out of those that are held, unless it was taken anew.
func (s *Store) forget(h *held) {
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	if s.locks.held[h.name] == h {
		delete(s.locks.held, h.name)
	}
}

// renewLoop renews all locks that are held, until the Store is closed.
func (s *Store) renewLoop() {
	for {
		timer := time.NewTimer(s.leaseNow() / 3)
		select {
		case <-s.life.Done():
			timer.Stop()
			return
		case <-s.relet:
			timer.Stop()
		case <-timer.C:
			s.renewAll()
		}
	}
}

// renewAll renews what is held. A lock whose turn is somebody else's is left out:
// it is being written at the moment.
func (s *Store) renewAll() {
	var mine []*held
	s.locks.mu.Lock()
	for _, h := range s.locks.held {
		select {
		case h.turn <- struct{}{}:
			if h.lost || h.leaving {
				h.end()
				continue
			}
			mine = append(mine, h)
		default:
		}
	}
	s.locks.mu.Unlock()
	slices.SortFunc(mine, func(a, b *held) int { return strings.Compare(a.name, b.name) })
	for batch := range slices.Chunk(mine, renewBatch) {
		limit := max(min(s.times.Lock, s.leaseNow()/3), 100*time.Millisecond)
		err := s.breaker.judge(s.life, s.bounded(s.life, limit, func(ctx context.Context) error { return s.renew(ctx, batch) }))
		if err != nil && s.life.Err() == nil {
			s.log.Debug("locks could not be renewed", zap.Int("locks", len(batch)), zap.Error(err))
		}
		for _, h := range batch {
			h.end()
		}
	}
}

// renew writes locks anew, then reads them back: who has them now, and whether a
// divided cluster gave them to others too. Two requests.
func (s *Store) renew(ctx context.Context, batch []*held) error {
	docs, ids := make([]any, len(batch)), make([]string, len(batch))
	for i, h := range batch {
		h.lease = max(h.lease, s.leaseNow())
		docs[i], ids[i] = h.document(), h.doc.ID
	}
	begun := s.now()
	results, err := s.cluster.Bulk(ctx, s.db, docs)
	if err != nil && !errors.Is(err, couch.ErrNotFound) { // the database went, and the locks with it
		return err
	}
	for i, r := range results {
		if r.Err == nil {
			batch[i].rev, batch[i].sure = r.Rev, begun
		}
	}
	rows, err := s.cluster.GetMany(ctx, s.db, ids)
	if err != nil && !errors.Is(err, couch.ErrNotFound) {
		return err
	}
	present := make(map[string]*lockDocument, len(rows))
	for _, row := range rows {
		if present[row.ID], err = parseLock(row.Doc); err != nil {
			return err
		}
	}
	for _, h := range batch {
		doc := present[h.doc.ID]
		if doc == nil || !s.prevails(ctx, h.name, h.doc.Holder, doc) {
			s.lose(h)
			continue
		}
		h.rev = doc.Rev // an answer may have been lost; the next renewal goes on from here
	}
	return nil
}
