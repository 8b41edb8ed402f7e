// Sweep: removing the chunks that a crash has left.

package certstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// sweeper remembers the contents that no value had, and since when.
type sweeper struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// Sweep removes chunks that belong to no value, as a crash leaves them between the
// chunks and their document. It removes what an earlier Sweep of this Store saw
// too, at least Times.Sweep before: other front doors may be at work, and clocks are not
// compared. It runs by itself.
//
// One request where there are no large values; else one for each 16 chunks, and one for
// each large value.
func (s *Store) Sweep(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	defer s.leave()
	s.sweeper.mu.Lock()
	defer s.sweeper.mu.Unlock()
	orphans := map[string]bool{}
	checked := map[string]bool{} // whether a content is one of a value
	for start := chunkPrefix; ; {
		var rows []couch.Row
		err := s.read(ctx, false, func(ctx context.Context) (err error) {
			rows, err = s.rows(ctx, start, chunkPrefix+last, perBulk)
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		var left []any
		for _, row := range rows {
			content, _, _ := strings.Cut(strings.TrimPrefix(row.ID, chunkPrefix), "/")
			var c chunk
			if err := json.Unmarshal(row.Doc, &c); err != nil {
				return fmt.Errorf("sweep: %s cannot be read: %w", row.ID, err)
			}
			used, known := checked[content]
			if !known {
				if used, err = s.isUsed(ctx, c.Value, content); err != nil {
					return fmt.Errorf("sweep: %w", err)
				}
				checked[content] = used
			}
			if used {
				continue
			}
			orphans[content] = true
			if since, ok := s.sweeper.seen[content]; ok && s.now().Sub(since) >= s.times.Sweep {
				left = append(left, gone{ID: c.ID, Rev: c.Rev, Deleted: true})
			}
		}
		err = s.write(ctx, len(left), func(ctx context.Context) error {
			_, err := s.cluster.Bulk(ctx, s.db, left)
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		if len(rows) < perBulk {
			break
		}
		start = rows[len(rows)-1].ID + "\x00"
	}
	now := s.now()
	for content := range orphans {
		if _, ok := s.sweeper.seen[content]; !ok {
			s.sweeper.seen[content] = now
		}
	}
	for content := range s.sweeper.seen {
		if !orphans[content] {
			delete(s.sweeper.seen, content)
		}
	}
	return nil
}

// isUsed tells whether a value has this content.
func (s *Store) isUsed(ctx context.Context, name, content string) (used bool, err error) {
	err = s.read(ctx, false, func(ctx context.Context) error {
		doc, err := s.readDocument(ctx, name)
		used = err == nil && doc.Content == content
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return used, err
}
