// Chunks: the parts of large values, in documents of their own.

package certstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// readChunks reads the chunks of a value, in order; nil where one is missing,
// since the value was replaced. One request for each 16.
func (s *Store) readChunks(ctx context.Context, doc *document, cached bool) ([][]byte, error) {
	parts := make([][]byte, 0, len(doc.Chunks))
	ids := make([]string, len(doc.Chunks))
	for i := range ids {
		ids[i] = chunkID(doc.Content, i)
	}
	for batch := range slices.Chunk(ids, perBulk) {
		var rows []couch.Row
		err := s.read(ctx, cached, func(ctx context.Context) (err error) {
			rows, err = s.cluster.GetMany(ctx, s.db, batch)
			return err
		})
		if errors.Is(err, couch.ErrNotFound) { // the database went
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		found := make(map[string][]byte, len(rows))
		for _, row := range rows {
			var c chunk
			if err := json.Unmarshal(row.Doc, &c); err != nil {
				return nil, fmt.Errorf("%s cannot be read: %w", row.ID, err)
			}
			found[c.ID] = c.Sealed
		}
		for _, id := range batch {
			sealed, ok := found[id]
			if !ok {
				return nil, nil
			}
			parts = append(parts, sealed)
		}
	}
	return parts, nil
}

// writeChunks writes the chunks of a value, and notes their revisions in its
// document. It may be called again after a failure. One request for each 16.
func (s *Store) writeChunks(ctx context.Context, name string, doc *document, parts [][]byte) error {
	if doc.Content == "" {
		return nil
	}
	for from := 0; from < len(parts); from += perBulk {
		to := min(from+perBulk, len(parts))
		docs := make([]any, 0, perBulk)
		for i := from; i < to; i++ {
			docs = append(docs, chunk{ID: chunkID(doc.Content, i), Value: name, Sealed: parts[i]})
		}
		results, err := s.cluster.Bulk(ctx, s.db, docs)
		if err != nil {
			return err
		}
		for i, r := range results {
			if r.Err != nil && !errors.Is(r.Err, couch.ErrConflict) {
				return r.Err
			}
			if r.Err != nil { // an attempt before, whose answer was lost
				if r.Rev, err = s.revision(ctx, r.ID); err != nil {
					return err
				}
			}
			doc.Chunks[from+i] = r.Rev
		}
	}
	return nil
}

func (s *Store) revision(ctx context.Context, id string) (string, error) {
	raw, err := s.cluster.Get(ctx, s.db, id)
	if err != nil {
		return "", err
	}
	var doc struct {
		Rev string `json:"_rev"`
	}
	err = json.Unmarshal(raw, &doc)
	return doc.Rev, err
}

// removeChunks removes the chunks of a value that was replaced or deleted. What
// it leaves is found by a sweep. One request.
func (s *Store) removeChunks(ctx context.Context, old *document) {
	if old == nil || old.Content == "" {
		return
	}
	docs := make([]any, len(old.Chunks))
	for i, rev := range old.Chunks {
		docs[i] = gone{ID: chunkID(old.Content, i), Rev: rev, Deleted: true}
	}
	if _, err := s.cluster.Bulk(ctx, s.db, docs); err != nil {
		s.log.Debug("chunks of an old value are left to the sweep", zap.String("content", old.Content), zap.Error(err))
	}
}
