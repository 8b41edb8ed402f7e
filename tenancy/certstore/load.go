// Load: the way of a value from the store, or from the cache where it does not answer.

package certstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// loadRounds is how often a value is read again that was replaced meanwhile.
const loadRounds = 8

// Load gives a value. A key without one is an fs.ErrNotExist, one that cannot be
// opened a *SealError. Where the store does not answer, the value is that of the
// cache, else the error is a tenancy.ErrUnavailable.
//
// One request for a value of up to 16 KiB, and one more for each 4 MiB of a larger
// one. One more also for a key without a value that the cache has.
func (s *Store) Load(ctx context.Context, key string) ([]byte, error) {
	name := clean(key)
	if name == "" || len(name) > MaxKey {
		return nil, notExist("load", key)
	}
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	defer s.leave()
	stamp := s.cache.stamp(name)
	cached := s.cache.has(name)
	doc, parts, err := s.fetch(ctx, name, cached)
	if cached && errors.Is(err, fs.ErrNotExist) {
		if e := s.read(ctx, cached, s.present); e != nil {
			err = e
		}
	}
	var value []byte
	if err == nil {
		value, err = doc.openParts(s.ring.Load(), name, parts)
	}
	switch {
	case err == nil:
		s.absent.Store(false)
		s.cache.put(name, doc, parts, stamp)
		return value, nil
	case errors.Is(err, fs.ErrNotExist):
		s.cache.remove(name, stamp)
		return nil, notExist("load", key)
	case errors.Is(err, tenancy.ErrUnavailable) || errors.Is(err, errNoDatabase):
		if value, ok := s.loadCached(name); ok {
			return value, nil
		}
	}
	return nil, fmt.Errorf("load: %w", named(name, err))
}

// named makes an error say which value it is about, where it does not yet.
func named(name string, err error) error {
	var seal *SealError
	if errors.As(err, &seal) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// loadCached gives a value of the cache, where it has one that can be opened.
func (s *Store) loadCached(name string) ([]byte, bool) {
	doc, parts, err := s.cache.get(name)
	if err == nil {
		var value []byte
		if value, err = doc.openParts(s.ring.Load(), name, parts); err == nil {
			return value, true
		}
	}
	if !errors.Is(err, fs.ErrNotExist) && s.cache.isUseless(name) {
		s.log.Warn("the cache has no use for a certificate's file", zap.String("key", name), zap.Error(err))
	}
	return nil, false
}

// readDocument reads the document of a value; fs.ErrNotExist where there is none.
// One request, whose limits are the caller's.
func (s *Store) readDocument(ctx context.Context, name string) (*document, error) {
	raw, err := s.cluster.Get(ctx, s.db, valueID(name))
	if errors.Is(err, couch.ErrNotFound) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	return parseDocument(name, raw)
}

// fetch reads a value's document and all its parts, each request within the limits
// of a read. A value that is replaced while its chunks are read is read again.
func (s *Store) fetch(ctx context.Context, name string, cached bool) (*document, [][]byte, error) {
	for round := range loadRounds {
		if round > 1 { // the first time it is a writer; later it may be a copy that lags behind
			if err := s.pause(ctx, s.times.Poll/8); err != nil {
				return nil, nil, err
			}
		}
		var doc *document
		err := s.read(ctx, cached, func(ctx context.Context) (err error) {
			doc, err = s.readDocument(ctx, name)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		if doc.Content == "" {
			return doc, [][]byte{doc.Sealed}, nil
		}
		parts, err := s.readChunks(ctx, doc, cached)
		if err != nil {
			return nil, nil, err
		}
		if parts != nil {
			return doc, parts, nil
		}
	}
	return nil, nil, fmt.Errorf("%s: chunks of the value are missing", name)
}
