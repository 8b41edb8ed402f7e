// Documents: single ones, many at once, ranges, and the one view that a stack asks.

package couch

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-kivik/kivik/v4"
)

// PageSize is how many documents a range or a feed asks for at a time. CouchDB's
// guide to performance has 1,000 to 10,000 as the good sizes.
const PageSize = 1000

// Get reads a document. A missing or deleted one is an ErrNotFound.
func (c *Cluster) Get(ctx context.Context, db, id string) (json.RawMessage, error) {
	return c.get(ctx, db, id)
}

// GetWithConflicts reads a document with `_conflicts`, the revisions that lost
// in a cluster, where there are any.
func (c *Cluster) GetWithConflicts(ctx context.Context, db, id string) (json.RawMessage, error) {
	return c.get(ctx, db, id, kivik.Param("conflicts", true))
}

func (c *Cluster) get(ctx context.Context, db, id string, options ...kivik.Option) (json.RawMessage, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	var raw json.RawMessage
	err := c.client.DB(db).Get(ctx, id, options...).ScanDoc(&raw)
	return raw, wrap("get", db, id, err)
}

// Put writes a document, whose `_rev` has to be the present one (absent for a
// new one): else ErrConflict. It returns the new revision.
func (c *Cluster) Put(ctx context.Context, db, id string, doc any) (rev string, err error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	rev, err = c.client.DB(db).Put(ctx, id, doc)
	return rev, wrap("put", db, id, err)
}

// Delete removes a document at its present revision: else ErrConflict. It
// returns the revision of the deletion.
func (c *Cluster) Delete(ctx context.Context, db, id, rev string) (deleted string, err error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	deleted, err = c.client.DB(db).Delete(ctx, id, rev)
	return deleted, wrap("delete", db, id, err)
}

// Result is what became of one document of a Bulk.
type Result struct {
	ID, Rev string
	Err     error // an *Error, or nil
}

// Bulk writes many documents of one database in one request. Each has its own
// result, in the order given; there is no transaction over them.
// https://docs.couchdb.org/en/stable/api/database/bulk-api.html#db-bulk-docs
func (c *Cluster) Bulk(ctx context.Context, db string, docs []any) ([]Result, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	answers, err := c.client.DB(db).BulkDocs(ctx, docs)
	if err != nil {
		return nil, wrap("bulk write", db, "", err)
	}
	if len(answers) != len(docs) {
		return nil, wrap("bulk write", db, "", fmt.Errorf("%d answers for %d documents", len(answers), len(docs)))
	}
	out := make([]Result, len(answers))
	for i, a := range answers {
		out[i] = Result{ID: a.ID, Rev: a.Rev, Err: wrap("bulk write", db, a.ID, a.Error)}
	}
	return out, nil
}

// Range is a part of a database's documents in the order of their ids.
type Range struct {
	Start string // the first id, inclusive; empty for the beginning
	End   string // the last id, inclusive; empty for the end
	Limit int    // 0 for all
	Skip  int    // slow where large: the server walks over them
}

// Row is one document of a range.
type Row struct {
	ID  string
	Doc json.RawMessage
}

// Walk gives the documents of a range to fn, in pages, until fn returns an
// error, which Walk returns.
func (c *Cluster) Walk(ctx context.Context, db string, r Range, fn func(Row) error) error {
	left := r.Limit
	start, skip := r.Start, r.Skip
	for {
		size := PageSize
		if r.Limit > 0 {
			size = min(size, left)
		}
		rows, err := c.page(ctx, db, start, r.End, size, skip)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := fn(row); err != nil {
				return err
			}
		}
		if left -= len(rows); len(rows) < size || r.Limit > 0 && left <= 0 {
			return nil
		}
		// The smallest id after the last one, since skipping is slow.
		start, skip = rows[len(rows)-1].ID+"\x00", 0
	}
}

func (c *Cluster) page(ctx context.Context, db, start, end string, limit, skip int) ([]Row, error) {
	params := map[string]any{"include_docs": true, "limit": limit}
	if skip > 0 {
		params["skip"] = skip
	}
	if start != "" {
		params["startkey"] = quote(start)
	}
	if end != "" {
		params["endkey"] = quote(end)
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	set := c.client.DB(db).AllDocs(ctx, kivik.Params(params))
	return scan("read range", db, set)
}

// GetMany reads many documents of one database in one request; those that are
// missing or deleted are left out.
func (c *Cluster) GetMany(ctx context.Context, db string, ids []string) ([]Row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	set := c.client.DB(db).AllDocs(ctx, kivik.Params(map[string]any{
		"include_docs": true, "conflicts": true, "keys": ids,
	}))
	return scan("read many", db, set)
}

// View asks a javascript view for the documents behind keys.
func (c *Cluster) View(ctx context.Context, db, design, view string, keys []string) ([]Row, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	set := c.client.DB(db).Query(ctx, design, view, kivik.Params(map[string]any{
		"include_docs": true, "reduce": false, "keys": keys,
	}))
	return scan("view "+design, db, set)
}

func scan(op, db string, set *kivik.ResultSet) ([]Row, error) {
	defer set.Close()
	var rows []Row
	for set.Next() {
		id, err := set.ID()
		if err != nil {
			continue // a key that has no document
		}
		var doc json.RawMessage
		if err := set.ScanDoc(&doc); err != nil || len(doc) == 0 || string(doc) == "null" {
			continue
		}
		rows = append(rows, Row{ID: id, Doc: doc})
	}
	return rows, wrap(op, db, "", set.Err())
}
