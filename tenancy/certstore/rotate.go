// Rotate: sealing anew what older keys have sealed; and what is done from time to time.

package certstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// resealLock is held by the front door that seals anew; certmagic has no lock of
// such a name.
const resealLock = "gatehouse_reseal"

// Progress is how far a Rotate has come.
type Progress struct {
	Seen   int // values
	Sealed int // of them anew
	Failed int // of them left as they are
}

// Rotate seals all values with the current key that another has sealed, and takes
// the new ones into the cache. progress, where it is not nil, is called after each
// page. Values that cannot be opened are left, and the error names the first of
// them; the others are sealed all the same. A value that is stored meanwhile has the
// key of who stores it. Rotate may be given up and run again at any time.
//
// One request for each 64 values, and two or more for each that is sealed anew.
func (s *Store) Rotate(ctx context.Context, progress func(Progress)) (Progress, error) {
	if err := s.enter(ctx); err != nil {
		return Progress{}, fmt.Errorf("sealing anew: %w", err)
	}
	defer s.leave()
	var p Progress
	var first error
	for start := valuePrefix; ; {
		var rows []couch.Row
		err := s.read(ctx, false, func(ctx context.Context) (err error) {
			rows, err = s.rows(ctx, start, valuePrefix+last, firstPage)
			return err
		})
		if err != nil {
			return p, fmt.Errorf("sealing anew: %w", err)
		}
		for _, row := range rows {
			name, ok := nameOf(row)
			if !ok {
				continue
			}
			p.Seen++
			sealed, err := s.rotateOne(ctx, name, row)
			switch {
			case ctx.Err() != nil:
				return p, ctx.Err()
			case err != nil:
				p.Failed++
				if first == nil {
					first = err
				}
			case sealed:
				p.Sealed++
			}
		}
		if progress != nil {
			progress(p)
		}
		if len(rows) < firstPage {
			break
		}
		start = rows[len(rows)-1].ID + "\x00"
	}
	if first != nil {
		return p, fmt.Errorf("sealing anew: %d values are left as they are, the first: %w", p.Failed, first)
	}
	return p, nil
}

// rotateOne seals one value anew, where it needs that.
func (s *Store) rotateOne(ctx context.Context, name string, row couch.Row) (sealed bool, err error) {
	doc, err := parseDocument(name, row.Doc)
	if err != nil {
		return false, err
	}
	if doc.KeyID == s.ring.Load().Current() {
		s.refresh(name, doc)
		return false, nil
	}
	stamp := s.cache.stamp(name)
	for range writeRounds {
		var old, fresh *document
		var parts [][]byte
		if old, parts, err = s.fetch(ctx, name, false); err == nil {
			ring := s.ring.Load()
			if old.KeyID == ring.Current() {
				return false, nil // somebody was quicker
			}
			var value []byte
			if value, err = old.openParts(ring, name, parts); err != nil {
				return false, err
			}
			fresh, parts = s.sealParts(name, value, old.Modified)
			err = s.write(ctx, len(parts), func(ctx context.Context) error { return s.exchange(ctx, name, old, fresh, parts) })
		}
		switch {
		case err == nil:
			s.cache.put(name, fresh, parts, stamp)
			return true, nil
		case errors.Is(err, fs.ErrNotExist): // deleted meanwhile
			return false, nil
		case !errors.Is(err, couch.ErrConflict):
			return false, fmt.Errorf("%s: %w", name, err)
		}
	}
	return false, fmt.Errorf("%s: %w", name, ErrContended)
}

// exchange puts a value that was sealed anew in the place of what it was, unless
// that has changed.
func (s *Store) exchange(ctx context.Context, name string, old, fresh *document, parts [][]byte) error {
	if err := s.writeChunks(ctx, name, fresh, parts); err != nil {
		return err
	}
	fresh.Rev = old.Rev
	rev, err := s.cluster.Put(ctx, s.db, fresh.ID, fresh)
	if err != nil {
		if errors.Is(err, couch.ErrConflict) { // then nobody has seen the new chunks
			s.removeChunks(ctx, fresh)
		}
		return err
	}
	fresh.Rev = rev
	s.removeChunks(ctx, old)
	return nil
}

// refresh takes a value that another front door has sealed anew into the cache,
// where it has the value as it was before: that key may be gone soon.
func (s *Store) refresh(name string, doc *document) {
	known, ok := s.cache.document(name)
	if ok && known.Rev != doc.Rev && doc.Content == "" {
		s.cache.put(name, doc, [][]byte{doc.Sealed}, s.cache.stamp(name))
	}
}

// tendLoop sweeps from time to time, and seals anew where there are older keys.
func (s *Store) tendLoop() {
	var done []string // ids of the keys for which all was sealed anew
	var next []string // ids of those for which it is to be, at a time
	var at time.Time
	sweep := time.NewTicker(s.times.Sweep)
	defer sweep.Stop()
	for {
		var again <-chan time.Time
		if ids := s.ring.Load().ids; s.reseal && len(ids) > 1 && !slices.Equal(ids, done) {
			if !slices.Equal(ids, next) {
				next, at = ids, time.Now().Add(s.times.Settle)
			}
			if wait := time.Until(at); wait > 0 {
				again = time.After(wait)
			} else if s.resealAll() {
				done = ids
			} else {
				again = time.After(s.times.Retry)
			}
		}
		select {
		case <-s.life.Done():
			return
		case <-s.wake:
		case <-again:
		case <-sweep.C:
			if err := s.Sweep(s.life); err != nil && s.life.Err() == nil && !errors.Is(err, ErrClosed) {
				s.log.Debug("sweeping chunks", zap.Error(err))
			}
		}
	}
}

// resealAll is Rotate for one front door at a time; false where it has to be tried again.
func (s *Store) resealAll() bool {
	if err := s.Lock(s.life, resealLock); err != nil {
		return false
	}
	defer func() { _ = s.Unlock(s.life, resealLock) }() // Close releases it too
	p, err := s.Rotate(s.life, nil)
	switch {
	case s.life.Err() != nil:
		return false
	case err != nil:
		s.log.Error("values could not be sealed with the current key", zap.Int("seen", p.Seen), zap.Int("sealed", p.Sealed), zap.Int("failed", p.Failed), zap.Error(err))
		return false
	}
	s.log.Info("every value is sealed with the current key",
		zap.String("key", s.ring.Load().Current()), zap.Int("seen", p.Seen), zap.Int("sealed", p.Sealed))
	return true
}
