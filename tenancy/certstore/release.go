// Release: giving up locks that are held.

package certstore

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Unlock releases a lock, also where ctx has ended: a lock that stays would make
// others wait. One that is not held is an ErrNotHeld; one that another has taken over is
// an ErrLost, and stays that one's. After another error the lock is renewed no
// more, and Unlock may be called again. One request.
func (s *Store) Unlock(ctx context.Context, name string) error {
	h := s.holding(name)
	if h == nil {
		return fmt.Errorf("unlock %s: %w", name, ErrNotHeld)
	}
	ctx = context.WithoutCancel(ctx)
	if err := s.enter(ctx); err != nil {
		ctx, cancel := context.WithTimeout(ctx, s.times.Lock)
		defer cancel()
		if e := h.begin(ctx); e != nil {
			return fmt.Errorf("unlock %s: %w", name, err)
		}
		defer h.end()
		s.forget(h)
		if h.released {
			return nil
		}
		return fmt.Errorf("unlock %s: %w", name, err)
	}
	defer s.leave()
	err := s.breaker.judge(ctx, s.bounded(ctx, s.times.Lock, func(ctx context.Context) error {
		if err := h.begin(ctx); err != nil {
			return err
		}
		defer h.end()
		return s.release(ctx, h)
	}))
	if err != nil {
		return fmt.Errorf("unlock %s: %w", name, err)
	}
	return nil
}

// release deletes a lock's document. The turn is the caller's.
func (s *Store) release(ctx context.Context, h *held) error {
	h.leaving = true
	if h.lost {
		s.forget(h)
		return ErrLost
	}
	_, err := s.cluster.Delete(ctx, s.db, h.doc.ID, h.rev)
	if errors.Is(err, couch.ErrConflict) {
		var present *lockDocument
		if present, err = s.lockDocument(ctx, h.doc.ID); err == nil && present.Holder == h.doc.Holder {
			h.rev = present.Rev // the answer to a renewal was lost
			_, err = s.cluster.Delete(ctx, s.db, h.doc.ID, h.rev)
		} else if err == nil {
			err = couch.ErrNotFound
		}
	}
	switch {
	case err == nil || errors.Is(err, couch.ErrNotFound) && h.unsure:
		s.forget(h)
		return nil
	case errors.Is(err, couch.ErrNotFound) || errors.Is(err, couch.ErrConflict):
		s.forget(h)
		s.lose(h)
		return ErrLost
	default:
		h.unsure = true
		return err
	}
}

// releaseAll is for Close: it deletes the documents of all locks in a request, where the store
// answers.
func (s *Store) releaseAll() {
	ctx, cancel := context.WithTimeout(context.Background(), s.times.Lock)
	defer cancel()
	s.locks.mu.Lock()
	all := make([]*held, 0, len(s.locks.held))
	for _, h := range s.locks.held {
		all = append(all, h)
	}
	s.locks.mu.Unlock()
	var docs []any
	var mine []*held
	for _, h := range all {
		if h.begin(ctx) != nil {
			continue
		}
		defer h.end()
		if !h.lost && !h.leaving {
			docs, mine = append(docs, gone{ID: h.doc.ID, Rev: h.rev, Deleted: true}), append(mine, h)
		}
		h.leaving = true
	}
	if s.breaker.isDown() {
		return // they are taken over after their lease
	}
	results, err := s.cluster.Bulk(ctx, s.db, docs)
	if err != nil {
		s.log.Warn("locks are left to be taken over after their lease", zap.Int("locks", len(mine)), zap.Error(err))
		return
	}
	for i, r := range results {
		mine[i].released = r.Err == nil
	}
}
