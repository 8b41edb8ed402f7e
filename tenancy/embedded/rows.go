// Rows: lists that are read in chunks, a short transaction each, so that a slow
// reader holds no pages back and a long list needs little memory.

package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"sync/atomic"

	"github.com/go-kivik/kivik/v4/driver"
	"go.etcd.io/bbolt"
)

// Bounds of a chunk, whichever comes first.
const (
	chunkRows    = 256
	chunkBytes   = 1 << 20
	chunkVisited = 8192 // keys that are passed over, tombstones for instance
)

// budget is what is left of a chunk.
type budget struct{ rows, bytes, visits int }

func newBudget() budget { return budget{rows: chunkRows, bytes: chunkBytes, visits: chunkVisited} }

func (b *budget) spent() bool { return b.rows <= 0 || b.bytes <= 0 || b.visits <= 0 }

// keyRange is a part of a bucket, lower included, upper not.
type keyRange struct{ lower, upper []byte }

func prefixRange(prefix byte) keyRange {
	return keyRange{lower: []byte{prefix}, upper: []byte{prefix + 1}}
}

// next gives the first key of what is left, or the last for a list that
// descends; key is nil where nothing is left.
func (r *keyRange) next(c *bbolt.Cursor, descending bool) (key, value []byte) {
	if !descending {
		key, value = c.Seek(r.lower)
		if key != nil && bytes.Compare(key, r.upper) >= 0 {
			return nil, nil
		}
		return key, value
	}
	if key, _ = c.Seek(r.upper); key == nil {
		key, value = c.Last()
	} else {
		key, value = c.Prev()
	}
	if key != nil && bytes.Compare(key, r.lower) < 0 {
		return nil, nil
	}
	return key, value
}

// walk visits the range from where it stands, and leaves it standing behind the
// last key visited, ready for the next transaction; more tells that visit stopped it.
func (r *keyRange) walk(bucket *bbolt.Bucket, descending bool, visit func(key, value []byte) (goOn bool, err error)) (more bool, err error) {
	c := bucket.Cursor()
	for key, value := r.next(c, descending); key != nil; {
		goOn, err := visit(key, value)
		if err != nil {
			return false, err
		}
		if !goOn {
			if descending {
				r.upper = bytes.Clone(key)
			} else {
				r.lower = append(bytes.Clone(key), 0)
			}
			return true, nil
		}
		if descending {
			if key, value = c.Prev(); key != nil && bytes.Compare(key, r.lower) < 0 {
				return false, nil
			}
		} else if key, value = c.Next(); key != nil && bytes.Compare(key, r.upper) >= 0 {
			return false, nil
		}
	}
	return false, nil
}

// row is one row, copied out of its transaction.
type row struct {
	id    string
	key   []byte
	value []byte // nil for a key that was not found
	doc   []byte // nil unless asked for
}

func (r *row) size() int { return len(r.id) + len(r.key) + len(r.value) + len(r.doc) }

// rowMaker makes a row from a key and its value; ok is false for what is no row.
type rowMaker func(t *database, q *rowQuery, key, value []byte) (r row, ok bool, err error)

// listing is a list that can be asked for: where its rows are, and what they say.
type listing struct {
	space  byte   // the first byte of its keys
	prefix string // of the ids in it
	make   rowMaker
	total  func(*database) (uint64, error)
}

// rows is a list under way.
type rows struct {
	ctx    context.Context
	db     *db
	query  *rowQuery
	list   *listing
	ranges []keyRange // what is left, in the order of the answer

	uuid    [16]byte // of the database that the first chunk was read from
	started bool
	total   uint64
	seq     string
	skipped int64

	chunk  []row
	closed atomic.Bool // by another goroutine, while Next runs
}

// newRows reads the first chunk, so that an error is the call's.
func newRows(ctx context.Context, d *db, q *rowQuery, list *listing, ranges []keyRange) (driver.Rows, error) {
	r := &rows{ctx: ctx, db: d, query: q, list: list, ranges: ranges}
	if err := r.fill(); err != nil {
		return nil, err
	}
	return r, nil
}

// Next gives the next row, reading a chunk where needed.
func (r *rows) Next(out *driver.Row) error {
	for len(r.chunk) == 0 {
		if r.closed.Load() || len(r.ranges) == 0 || r.query.limit == 0 {
			return io.EOF
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
	first := r.chunk[0]
	r.chunk = r.chunk[1:]
	out.ID = first.id
	out.Key = json.RawMessage(first.key)
	if first.value != nil {
		out.Value = bytes.NewReader(first.value)
	}
	if first.doc != nil {
		out.Doc = bytes.NewReader(first.doc)
	}
	return nil
}

// begin notes the counters when the first chunk is read, and checks that later
// ones come from the same database; 404 where that was destroyed.
func (r *rows) begin(t *database) (err error) {
	if !r.started {
		r.started = true
		r.uuid = t.counters.uuid
		r.seq = t.sequence(t.counters.seq)
		r.total, err = r.list.total(t)
		return err
	}
	if r.uuid != t.counters.uuid {
		return missingDatabase()
	}
	return nil
}

// fill reads a chunk.
func (r *rows) fill() error {
	return r.db.store.read(r.ctx, r.db.name, func(t *database) error {
		if err := r.begin(t); err != nil {
			return err
		}
		r.chunk = nil
		left := newBudget()
		for len(r.ranges) > 0 && r.query.limit != 0 && !left.spent() {
			more, err := r.ranges[0].walk(t.bucket, r.query.descending, func(key, value []byte) (bool, error) {
				return r.visit(t, &left, key, value)
			})
			if err != nil {
				return err
			}
			if !more {
				r.ranges = r.ranges[1:]
			}
		}
		return nil
	})
}

// visit takes one key, and tells whether the chunk goes on.
func (r *rows) visit(t *database, left *budget, key, value []byte) (bool, error) {
	left.visits--
	made, ok, err := r.list.make(t, r.query, key, value)
	switch {
	case err != nil:
		return false, err
	case !ok:
	case r.skipped < r.query.skip:
		r.skipped++
	default:
		r.chunk = append(r.chunk, made)
		left.rows--
		left.bytes -= made.size()
		if r.query.limit > 0 {
			r.query.limit--
		}
	}
	return r.query.limit != 0 && !left.spent(), nil
}

// Close ends the list.
func (r *rows) Close() error {
	r.closed.Store(true)
	return nil
}

// Offset is how many rows were skipped. CouchDB counts those before the start
// key as well, which here would be a scan.
func (r *rows) Offset() int64 { return r.skipped }

// TotalRows is how many rows there are without any bound.
func (r *rows) TotalRows() int64 { return int64(r.total) }

// UpdateSeq is the sequence of the database when the list began, where it was
// asked for: what changed since then is in the feed from there on.
func (r *rows) UpdateSeq() string {
	if !r.query.withSeq {
		return ""
	}
	return r.seq
}

// Interface guards.
var _ driver.Rows = (*rows)(nil)
