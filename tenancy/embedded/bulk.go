// Bulk: many documents in one transaction.

package embedded

import (
	"context"
	"net/http"

	kivik "github.com/go-kivik/kivik/v4"
	"github.com/go-kivik/kivik/v4/driver"
)

// BulkDocs writes documents in their order, in one transaction, each with a
// result of its own: a revision, or an error with status 409. What is no
// document at all is an error of the whole call, which then has written nothing,
// as with CouchDB: https://docs.couchdb.org/en/stable/api/database/bulk-api.html#db-bulk-docs.
// Errors otherwise are those of Put. 1,000 to 5,000 documents in a call do best:
// bbolt splits a page at the commit only, so that many times as many new ones,
// in an empty database, cost it the square of their number.
func (d *db) BulkDocs(ctx context.Context, docs []any, options driver.Options) ([]driver.BulkResult, error) {
	if err := checkBulk(options); err != nil {
		return nil, err
	}
	edits := make([]*document, len(docs))
	for i, value := range docs {
		raw, err := encodeJSON(value)
		if err != nil {
			return nil, err
		}
		if edits[i], err = d.store.parseDocument("", raw); err != nil {
			return nil, err
		}
	}
	results := make([]driver.BulkResult, len(edits))
	err := d.write(ctx, func(t *database) error {
		for i, doc := range edits {
			rev, err := t.apply(doc)
			switch {
			case err == nil:
				results[i] = driver.BulkResult{ID: doc.id, Rev: rev}
			case kivik.HTTPStatus(err) == http.StatusConflict:
				// kivik's CouchDB driver gives the reason alone here.
				results[i] = driver.BulkResult{ID: doc.id, Error: &failure{status: http.StatusConflict, text: "Document update conflict."}}
			case refused(err):
				results[i] = driver.BulkResult{ID: doc.id, Error: err}
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// checkBulk refuses the options that change what a bulk write is. The CouchDB
// driver sends them as JSON, where a text is not a boolean.
func checkBulk(options driver.Options) error {
	p := map[string]any{}
	options.Apply(p)
	if value, given := p["new_edits"]; given {
		newEdits, ok := value.(bool)
		if !ok {
			return badRequest("`new_edits` parameter must be a boolean.")
		}
		if !newEdits {
			return unsupported("new_edits=false")
		}
	}
	if all, _ := p["all_or_nothing"].(bool); all {
		return unsupported("all_or_nothing")
	}
	return nil
}

// Interface guards.
var _ driver.BulkDocer = (*db)(nil)
