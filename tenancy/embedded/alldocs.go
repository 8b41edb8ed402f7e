// AllDocs: _all_docs, and its like for design documents and local ones.

package embedded

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/go-kivik/kivik/v4/driver"
)

// AllDocs lists documents by id, in the order of their bytes. Options are those of
// https://docs.couchdb.org/en/stable/api/database/bulk-api.html#get--db-_all_docs.
// Errors: 404 without the database, 400 for a bad option.
func (d *db) AllDocs(ctx context.Context, options driver.Options) (driver.Rows, error) {
	return d.list(ctx, options, &allDocs)
}

// DesignDocs lists design documents, as _design_docs does.
func (d *db) DesignDocs(ctx context.Context, options driver.Options) (driver.Rows, error) {
	return d.list(ctx, options, &designDocs)
}

// LocalDocs lists local documents, as _local_docs does.
func (d *db) LocalDocs(ctx context.Context, options driver.Options) (driver.Rows, error) {
	return d.list(ctx, options, &localDocs)
}

// The lists of documents.
var (
	allDocs = listing{space: prefixDoc, make: docRow, total: func(t *database) (uint64, error) {
		return t.counters.docs, nil
	}}
	designDocs = listing{space: prefixDoc, prefix: "_design/", make: docRow, total: countDesign}
	localDocs  = listing{space: prefixLocal, prefix: "_local/", make: localRow, total: func(*database) (uint64, error) {
		return 0, nil // CouchDB says null
	}}
)

// list answers one of them.
func (d *db) list(ctx context.Context, options driver.Options, list *listing) (driver.Rows, error) {
	params, err := readParams(options)
	if err != nil {
		return nil, err
	}
	query, err := params.rowQuery()
	if err != nil {
		return nil, err
	}
	if query.keys != nil {
		return newKeyedRows(ctx, d, query, list)
	}
	return newRows(ctx, d, query, list, []keyRange{query.idRange(list)})
}

// whole is the part of the bucket that a list of documents has.
func (l *listing) whole() keyRange {
	lower := append([]byte{l.space}, l.prefix...)
	upper := slices.Clone(lower)
	upper[len(upper)-1]++
	return keyRange{lower: lower, upper: upper}
}

// countDesign counts the design documents, of which a database has few.
func countDesign(t *database) (n uint64, err error) {
	r := (&listing{space: prefixDoc, prefix: "_design/"}).whole()
	_, err = r.walk(t.bucket, false, func(_, value []byte) (bool, error) {
		doc, err := decodeRecord(value)
		if err == nil && !doc.deleted {
			n++
		}
		return true, err
	})
	return n, err
}

// idRange narrows a list by the keys of a query. Keys that are no strings come
// before all strings, in Erlang's order of types, which is what CouchDB uses here.
func (q *rowQuery) idRange(list *listing) keyRange {
	bound := func(key json.RawMessage, behind bool) []byte {
		if key[0] != '"' {
			return []byte{list.space}
		}
		b := append([]byte{list.space}, unquote(key)...)
		if behind {
			b = append(b, 0)
		}
		return b
	}
	r := list.whole()
	lower, upper := r.lower, r.upper
	if q.descending {
		if q.end != nil {
			lower = bound(q.end, !q.inclusiveEnd)
		}
		if q.start != nil {
			upper = bound(q.start, true)
		}
	} else {
		if q.start != nil {
			lower = bound(q.start, false)
		}
		if q.end != nil {
			upper = bound(q.end, q.inclusiveEnd)
		}
	}
	return keyRange{
		lower: slices.MaxFunc([][]byte{r.lower, lower}, slices.Compare),
		upper: slices.MinFunc([][]byte{r.upper, upper}, slices.Compare),
	}
}

// docRow makes a row of _all_docs; a tombstone is none.
func docRow(_ *database, q *rowQuery, key, value []byte) (r row, ok bool, err error) {
	doc, err := decodeRecord(value)
	if err != nil || doc.deleted {
		return r, false, err
	}
	id := string(key[1:])
	r = row{id: id, key: appendString(nil, id), value: revValue(doc.rev.String(), false)}
	if q.includeDocs {
		r.doc = renderDoc(id, doc, nil)
	}
	return r, true, nil
}

// localRow makes a row of _local_docs.
func localRow(_ *database, q *rowQuery, key, value []byte) (r row, ok bool, err error) {
	rev, body, err := decodeLocal(value)
	if err != nil {
		return r, false, err
	}
	id := string(key[1:])
	r = row{id: id, key: appendString(nil, id), value: revValue(rev, false)}
	if q.includeDocs {
		r.doc = rendered{id: id, rev: rev}.render(body)
	}
	return r, true, nil
}

// revValue is the value of a row of _all_docs.
func revValue(rev string, deleted bool) []byte {
	if deleted {
		return []byte(`{"rev":"` + rev + `","deleted":true}`)
	}
	return []byte(`{"rev":"` + rev + `"}`)
}

// keyedRows answers the option keys: a row for each, in their order, also for
// what was deleted, and for what was never there.
type keyedRows struct {
	rows
	ids []string
}

func newKeyedRows(ctx context.Context, d *db, q *rowQuery, list *listing) (driver.Rows, error) {
	r := &keyedRows{rows: rows{ctx: ctx, db: d, query: q, list: list}}
	for _, key := range q.keys {
		if key[0] != '"' {
			return nil, badRequest("`keys` must be an array of strings.")
		}
		r.ids = append(r.ids, unquote(key))
	}
	if q.descending {
		slices.Reverse(r.ids)
	}
	r.ids = r.ids[min(q.skip, int64(len(r.ids))):]
	if q.limit >= 0 {
		r.ids = r.ids[:min(q.limit, int64(len(r.ids)))]
	}
	if err := r.fill(); err != nil {
		return nil, err
	}
	return r, nil
}

// Next gives the row of the next key.
func (r *keyedRows) Next(out *driver.Row) error {
	for len(r.chunk) == 0 {
		if r.closed.Load() || len(r.ids) == 0 {
			return io.EOF
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
	return r.rows.Next(out)
}

// fill reads a chunk.
func (r *keyedRows) fill() error {
	return r.db.store.read(r.ctx, r.db.name, func(t *database) error {
		if err := r.begin(t); err != nil {
			return err
		}
		for left := newBudget(); len(r.ids) > 0 && !left.spent(); r.ids = r.ids[1:] {
			found, err := r.list.find(t, r.query, r.ids[0])
			if err != nil {
				return err
			}
			r.chunk = append(r.chunk, found)
			left.rows--
			left.bytes -= found.size()
		}
		return nil
	})
}

// find makes the row of a key. That of an unknown one has a key alone: CouchDB
// says "not_found" in a field of its own, which kivik's driver does not look at.
func (l *listing) find(t *database, q *rowQuery, id string) (row, error) {
	unknown := row{key: appendString(nil, id)}
	key := append([]byte{l.space}, id...)
	value := t.bucket.Get(key)
	if value == nil || !strings.HasPrefix(id, l.prefix) {
		return unknown, nil
	}
	found, ok, err := l.make(t, q, key, value)
	if err != nil || ok {
		return found, err
	}
	doc, err := decodeRecord(value)
	if err != nil {
		return row{}, err
	}
	gone := row{id: id, key: unknown.key, value: revValue(doc.rev.String(), true)}
	if q.includeDocs {
		gone.doc = []byte("null")
	}
	return gone, nil
}

// Interface guards.
var (
	_ driver.Rows        = (*keyedRows)(nil)
	_ driver.DesignDocer = (*db)(nil)
	_ driver.LocalDocer  = (*db)(nil)
)
