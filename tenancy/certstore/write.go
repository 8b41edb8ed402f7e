// Store: the way of a value into the store.

package certstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// writeRounds bounds how often a write is tried that others are quicker with.
const writeRounds = 50

// Store puts a value at a key, over what is there: of concurrent writers the last
// one wins. It is sealed with the current key. A value of more than MaxValue bytes is
// an ErrTooLarge; where the store does not answer, the error is a
// tenancy.ErrUnavailable, and nothing is stored, here or in the cache.
//
// One request for a new key, or one whose present revision the cache knows, else
// three; a larger value has one more for each 4 MiB, and one for the chunks of the
// value before it.
func (s *Store) Store(ctx context.Context, key string, value []byte) error {
	name, err := fileKey("store", key)
	if err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("store %s: a value of %d bytes is %w: the limit is %d", name, len(value), ErrTooLarge, MaxValue)
	}
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	defer s.leave()
	stamp := s.cache.stamp(name)
	known, _ := s.cache.document(name)
	doc, parts := s.sealParts(name, value, s.now())
	err = s.write(ctx, len(doc.Chunks), func(ctx context.Context) error {
		old, err := s.replace(ctx, name, doc, parts, known)
		if err == nil && old != nil && old.Content != doc.Content {
			s.removeChunks(ctx, old)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	s.cache.put(name, doc, parts, stamp)
	return nil
}

// replace writes a value over the one that is there, whose document it gives; known
// is what that may be, or nil.
func (s *Store) replace(ctx context.Context, name string, doc *document, parts [][]byte, known *document) (old *document, err error) {
	begun := s.now()
	if known != nil {
		old, doc.Rev = known, known.Rev
	}
	written := false
	for range writeRounds {
		if !written {
			if err = s.writeChunks(ctx, name, doc, parts); err == nil {
				written = true
			}
		}
		if written {
			// The sweep of another front door could take chunks so old for left behind.
			if s.now().Sub(begun) > s.times.Sweep/2 {
				return nil, tenancy.Unavailablef("storing took too long")
			}
			var rev string
			if rev, err = s.cluster.Put(ctx, s.db, doc.ID, doc); err == nil {
				doc.Rev = rev
				return old, nil
			}
		}
		if err = s.settle(ctx, err); err != nil {
			return nil, err
		}
		if !written {
			continue
		}
		switch old, err = s.readDocument(ctx, name); {
		case err == nil:
			doc.Rev = old.Rev
		case errors.Is(err, fs.ErrNotExist):
			old, doc.Rev = nil, ""
		case errors.Is(err, tenancy.ErrUnavailable):
			// The next round finds out.
		default:
			// What is there cannot be read, so it cannot be replaced either.
			return nil, err
		}
	}
	return nil, ErrContended
}

// settle does what a failed write asks for before the next one; it returns the
// error where there is nothing to do.
func (s *Store) settle(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, couch.ErrConflict):
		return s.pauseOr(ctx, s.times.Poll/64, err)
	case errors.Is(err, couch.ErrNotFound): // the database
		return s.ensure(ctx)
	case errors.Is(err, couch.ErrDenied):
		return err
	case errors.Is(err, tenancy.ErrUnavailable) && !s.breaker.isDown():
		return s.pauseOr(ctx, s.times.Poll/2, err)
	default:
		return err
	}
}

// pauseOr waits, and returns err where the time is up.
func (s *Store) pauseOr(ctx context.Context, d time.Duration, err error) error {
	if s.pause(ctx, d) != nil {
		return err
	}
	return nil
}
