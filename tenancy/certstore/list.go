// List, Stat and Exists.

package certstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// firstPage is the size of a listing's first request; each further one is twice
// as large, up to couch.PageSize.
const firstPage = 64

// List gives the keys below a directory, directories among them: all of them, or
// those right in it. A directory that is not there is an fs.ErrNotExist, but for the
// root; a key with a value has none below. The order is that of a walk over folders.
//
// One request for up to 64 values, and then for 128, 256, 512 and each 1,000; without
// recursion a directory of which something was seen is left out. One more where nothing
// was found. Where the store does not answer, the list is that of the cache, else
// the error is a tenancy.ErrUnavailable.
func (s *Store) List(ctx context.Context, key string, recursive bool) ([]string, error) {
	dir := clean(key)
	if len(dir) > MaxKey {
		return nil, notExist("list", key)
	}
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	defer s.leave()
	t := &tree{dir: dir, recursive: recursive, seen: map[string]bool{}}
	err := s.collect(ctx, t)
	if err == nil && len(t.keys) == 0 && dir != "" {
		err = s.read(ctx, false, func(ctx context.Context) error {
			_, err := s.readDocument(ctx, dir)
			return err
		})
	}
	if errors.Is(err, tenancy.ErrUnavailable) && s.cache != nil {
		cached := &tree{dir: dir, recursive: recursive, seen: map[string]bool{}}
		for _, name := range s.cache.below(ctx, dir) {
			cached.add(name)
		}
		if t = cached; len(t.keys) > 0 {
			err = nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, notExist("list", key)
	case err != nil:
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	slices.SortFunc(t.keys, compareKeys)
	return t.keys, nil
}

// collect reads the names below a tree's directory.
func (s *Store) collect(ctx context.Context, t *tree) error {
	start, end := below(t.dir), below(t.dir)+last
	for size := firstPage; ; size = min(2*size, couch.PageSize) {
		var rows []couch.Row
		err := s.read(ctx, false, func(ctx context.Context) (err error) {
			rows, err = s.walk(ctx, couch.Range{Start: start, End: end, Limit: size, IDs: true})
			return err
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if name, ok := nameOf(row); ok && inside(name, t.dir) {
				t.add(name)
			}
		}
		if len(rows) < size {
			return nil
		}
		start = rows[len(rows)-1].ID + "\x00"
		if t.recursive {
			continue
		}
		// The rest of the directory that the page ends in has nothing new.
		from := len(below(t.dir))
		for i, c := range start[from:] {
			if c == '/' {
				start = start[:from+i] + afterSlash
				break
			}
		}
	}
}

// Stat tells the size of a value, and when it was stored; of a directory, that it is
// one. A key that is neither is an fs.ErrNotExist. Where the store does not answer,
// the cache does, else the error is a tenancy.ErrUnavailable.
//
// One request for a value, two for anything else.
func (s *Store) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	name := clean(key)
	if len(name) > MaxKey {
		return certmagic.KeyInfo{}, notExist("stat", key)
	}
	if err := s.enter(ctx); err != nil {
		return certmagic.KeyInfo{}, fmt.Errorf("stat %s: %w", name, err)
	}
	defer s.leave()
	found, err := s.stat(ctx, name)
	found.Key = key
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return certmagic.KeyInfo{}, notExist("stat", key)
	case err != nil:
		return certmagic.KeyInfo{}, fmt.Errorf("stat %s: %w", name, err)
	}
	return found, nil
}

// Exists tells whether a key has a value, or is a directory. Where nobody can say,
// it is false. The requests are those of Stat.
func (s *Store) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

func (s *Store) stat(ctx context.Context, name string) (certmagic.KeyInfo, error) {
	if name == "" {
		return certmagic.KeyInfo{}, nil
	}
	// The value itself need not be read; a document has little else.
	var doc struct {
		Size     int64     `json:"size"`
		Modified time.Time `json:"modified"`
	}
	isFile := false
	err := s.read(ctx, s.cache.has(name), func(ctx context.Context) error {
		raw, err := s.cluster.Get(ctx, s.db, valueID(name))
		if err == nil {
			isFile = true
			return json.Unmarshal(raw, &doc)
		}
		if !errors.Is(err, couch.ErrNotFound) {
			return err
		}
		rows, err := s.walk(ctx, couch.Range{Start: below(name), End: below(name) + last, Limit: 1, IDs: true})
		if err == nil && len(rows) == 0 {
			err = fs.ErrNotExist
		}
		return err
	})
	if err == nil && isFile {
		return certmagic.KeyInfo{Size: doc.Size, Modified: doc.Modified, IsTerminal: true}, nil
	}
	if !errors.Is(err, tenancy.ErrUnavailable) {
		return certmagic.KeyInfo{}, err
	}
	if doc, ok := s.cache.document(name); ok {
		return certmagic.KeyInfo{Size: doc.Size, Modified: doc.Modified, IsTerminal: true}, nil
	}
	if len(s.cache.below(ctx, name)) > 0 {
		return certmagic.KeyInfo{}, nil
	}
	return certmagic.KeyInfo{}, err
}
