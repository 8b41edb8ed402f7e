// Delete: of a value, and of all below a key.

package certstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

const (
	deleteRounds = 1000 // of deletePage values each, and of conflicts
	deletePage   = 200
)

// Delete removes a value, and all values below the key; one that is not there is
// success. The root cannot be deleted. Where the store does not answer, the error
// is a tenancy.ErrUnavailable, and values may be left.
//
// Two requests for a key without a value, three for one with a value, and one more
// if that has chunks; for a directory, four for each 200 values.
func (s *Store) Delete(ctx context.Context, key string) error {
	name := clean(key)
	if name == "" {
		return fmt.Errorf("delete %q: this key is the root; everything is not deleted at once", key)
	}
	if len(name) > MaxKey {
		return nil
	}
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	defer s.leave()
	for range deleteRounds {
		var more bool
		old := map[string]*document{} // those with chunks, by content
		err := s.write(ctx, 0, func(ctx context.Context) (err error) {
			for {
				if more, err = s.deleteSome(ctx, name, old); err == nil {
					return nil
				}
				if !errors.Is(err, tenancy.ErrUnavailable) {
					return err
				}
				if err = s.settle(ctx, err); err != nil {
					return err
				}
			}
		})
		if err != nil {
			return fmt.Errorf("delete %s: %w", name, err)
		}
		if !more {
			s.cache.removeTree(name)
			return nil
		}
	}
	return fmt.Errorf("delete %s: %w", name, ErrContended)
}

// deleteSome removes a value, and some below; more tells that there may be others.
// It notes in old what has chunks, for it may be called again when the answer that the
// documents are gone was lost.
func (s *Store) deleteSome(ctx context.Context, name string, old map[string]*document) (more bool, err error) {
	own, err := s.cluster.GetMany(ctx, s.db, []string{valueID(name)}) // with the revisions that lost
	if err != nil && !errors.Is(err, couch.ErrNotFound) {
		return false, err
	}
	rows, err := s.rows(ctx, below(name), below(name)+last, deletePage)
	if err != nil {
		return false, err
	}
	var docs []any
	for _, row := range append(own, rows...) {
		if !strings.HasPrefix(row.ID, valuePrefix) {
			continue
		}
		doc := new(document)
		if err := json.Unmarshal(row.Doc, doc); err != nil {
			return false, fmt.Errorf("%s cannot be read: %w", row.ID, err)
		}
		if doc.Content != "" {
			old[doc.Content] = doc
		}
		for _, rev := range append([]string{doc.Rev}, doc.Conflicts...) {
			docs = append(docs, gone{ID: doc.ID, Rev: rev, Deleted: true})
		}
	}
	results, err := s.cluster.Bulk(ctx, s.db, docs)
	if err != nil {
		return false, err
	}
	more = len(rows) > 0 // a revision that lost may be there now
	for _, r := range results {
		switch {
		case r.Err == nil || errors.Is(r.Err, couch.ErrNotFound):
		case errors.Is(r.Err, couch.ErrConflict):
			more = true
		default:
			return false, r.Err
		}
	}
	for _, doc := range old {
		s.removeChunks(ctx, doc)
	}
	return more, nil
}

// rows reads the first documents of a range, in one request; none where there is
// no database.
func (s *Store) rows(ctx context.Context, start, end string, limit int) ([]couch.Row, error) {
	return s.walk(ctx, couch.Range{Start: start, End: end, Limit: limit})
}

func (s *Store) walk(ctx context.Context, r couch.Range) ([]couch.Row, error) {
	var rows []couch.Row
	err := s.cluster.Walk(ctx, s.db, r, func(row couch.Row) error {
		rows = append(rows, row)
		return nil
	})
	if errors.Is(err, couch.ErrNotFound) {
		return nil, nil
	}
	return rows, err
}
