// Documents: single ones, ranges, and the one view that a stack asks.

package couch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

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
	d, err := c.database("get", db)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	doc := d.Get(ctx, id, options...)
	var raw json.RawMessage
	if err := doc.ScanDoc(&raw); err != nil {
		return nil, wrap("get", db, id, err)
	}
	_ = doc.Close() // it is read
	return raw, nil
}

// Put writes a document, whose `_rev` has to be the present one (absent for a
// new one): else ErrConflict. It returns the new revision.
func (c *Cluster) Put(ctx context.Context, db, id string, doc any) (rev string, err error) {
	d, err := c.database("put", db)
	if err != nil {
		return "", err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	rev, err = d.Put(ctx, id, doc)
	return rev, wrap("put", db, id, err)
}

// Delete removes a document at its present revision: else ErrConflict. It
// returns the revision of the deletion.
func (c *Cluster) Delete(ctx context.Context, db, id, rev string) (deleted string, err error) {
	d, err := c.database("delete", db)
	if err != nil {
		return "", err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	deleted, err = d.Delete(ctx, id, rev)
	return deleted, wrap("delete", db, id, err)
}

// Range is a part of a database's documents in the order of their ids.
type Range struct {
	Start string // the first id, inclusive; empty for the beginning
	End   string // the last id, inclusive; empty for the end
	Limit int    // 0 for all
	Skip  int    // slow where large: the server walks over them
	IDs   bool   // the ids alone: rows have no document
}

// Row is one document of a range.
type Row struct {
	ID  string
	Doc json.RawMessage // nil where ids alone were asked for
}

// Walk gives the documents of a range to fn, in pages, until fn returns an
// error, which Walk returns. Ids are in the order of their bytes. It is no
// snapshot: each page is as the database is when it is read.
func (c *Cluster) Walk(ctx context.Context, db string, r Range, fn func(Row) error) error {
	left := r.Limit
	start, skip, last := r.Start, r.Skip, ""
	for {
		if r.End != "" && start > r.End {
			return nil // no id is in it, and views refuse such a range
		}
		size := PageSize
		if r.Limit > 0 {
			size = min(size, left)
		}
		page, err := c.page(ctx, db, start, r.End, size, skip, !r.IDs)
		if err != nil {
			return err
		}
		if page.seen > 0 && page.last == last {
			// A server that ignores the start would be walked for ever.
			return wrap("read range", db, "", fmt.Errorf("the page after %q is that page again", last))
		}
		for _, row := range page.rows {
			if err := fn(row); err != nil {
				return err
			}
		}
		// What the server counts is its rows, also those that have lost their
		// document meanwhile.
		left -= page.seen
		if page.seen < size || r.Limit > 0 && left <= 0 {
			return nil
		}
		// The smallest id after the last one, since skipping is slow.
		start, skip, last = page.last+"\x00", 0, page.last
	}
}

func (c *Cluster) page(ctx context.Context, db, start, end string, limit, skip int, docs bool) (page, error) {
	params := map[string]any{"include_docs": docs, "limit": limit}
	if skip > 0 {
		params["skip"] = skip
	}
	if start != "" { // kivik makes JSON of the keys here, though not those of a list of databases
		params["startkey"] = start
	}
	if end != "" {
		params["endkey"] = end
	}
	d, err := c.database("read range", db)
	if err != nil {
		return page{}, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	return scan("read range", db, docs, d.AllDocs(ctx, kivik.Params(params)))
}

// GetMany reads many documents of one database in one request; those that are
// missing or deleted are left out.
func (c *Cluster) GetMany(ctx context.Context, db string, ids []string) ([]Row, error) {
	// No document has an empty id, and a server may take it for no id at all.
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })
	if len(ids) == 0 {
		return nil, nil
	}
	d, err := c.database("read many", db)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	page, err := scan("read many", db, true, d.AllDocs(ctx, kivik.Params(map[string]any{
		"include_docs": true, "conflicts": true, "keys": ids,
	})))
	return page.rows, err
}

// View asks a javascript view for the documents behind keys, a row for each time
// that a document emits one of them.
func (c *Cluster) View(ctx context.Context, db, design, view string, keys []string) ([]Row, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	op := "view " + design
	d, err := c.database(op, db)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	page, err := scan(op, db, true, d.Query(ctx, design, view, kivik.Params(map[string]any{
		"include_docs": true, "reduce": false, "keys": keys,
	})))
	return page.rows, err
}

// page is one answer of rows.
type page struct {
	rows []Row
	seen int    // rows of the answer, also those without a document
	last string // the id of the last one
}

func scan(op, db string, docs bool, set *kivik.ResultSet) (page, error) {
	defer set.Close()
	var p page
	for set.Next() {
		p.seen++
		id, err := set.ID()
		if err != nil || id == "" {
			continue // a key that has no document
		}
		p.last = id
		if !docs {
			p.rows = append(p.rows, Row{ID: id})
			continue
		}
		var doc json.RawMessage
		if err := set.ScanDoc(&doc); err != nil || len(doc) == 0 || string(doc) == "null" {
			continue
		}
		p.rows = append(p.rows, Row{ID: id, Doc: doc})
	}
	if err := set.Err(); err != nil {
		return page{}, wrap(op, db, "", err)
	}
	return p, nil
}
