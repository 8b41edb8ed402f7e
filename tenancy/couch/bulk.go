// Bulk: many documents in one request.

package couch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-kivik/kivik/v4"
)

// Result is what became of one document of a Bulk.
type Result struct {
	ID, Rev string
	Err     error // an *Error, or nil
}

// Bulk writes many documents of one database in one request. Each has its own
// result, in the order given; there is no transaction over them.
// https://docs.couchdb.org/en/stable/api/database/bulk-api.html#db-bulk-docs
func (c *Cluster) Bulk(ctx context.Context, db string, docs []any) ([]Result, error) {
	if len(docs) == 0 {
		return nil, nil
	}
	d, err := c.database("bulk write", db)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	bodies, ids, err := encode(docs)
	if err != nil {
		return nil, &Error{Op: "bulk write", Database: db, Status: http.StatusBadRequest, Err: err}
	}
	answers, err := d.BulkDocs(ctx, bodies)
	if err != nil {
		return nil, wrap("bulk write", db, "", err)
	}
	if len(answers) != len(docs) {
		return nil, wrap("bulk write", db, "", fmt.Errorf("%d answers for %d documents", len(answers), len(docs)))
	}
	if !inOrder(ids, answers) {
		return nil, wrap("bulk write", db, "", errors.New("the answers are for other documents"))
	}
	out := make([]Result, len(answers))
	for i, a := range answers {
		out[i] = Result{ID: a.ID, Rev: a.Rev, Err: wrap("bulk write", db, a.ID, a.Error)}
	}
	return out, nil
}

// encode makes JSON of documents, and reads their ids; empty where one has none.
func encode(docs []any) (bodies []any, ids []string, err error) {
	bodies, ids = make([]any, len(docs)), make([]string, len(docs))
	for i, doc := range docs {
		raw, err := json.Marshal(doc)
		if err != nil {
			return nil, nil, err
		}
		var head struct {
			ID string `json:"_id"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, nil, fmt.Errorf("document %d: %w", i, err)
		}
		bodies[i], ids[i] = json.RawMessage(raw), head.ID
	}
	return bodies, ids, nil
}

// inOrder puts answers into the order of the documents, which CouchDB keeps and
// PouchDB does not. It is false where they do not fit.
func inOrder(ids []string, answers []kivik.BulkResult) bool {
	fits := func(i int) bool { return ids[i] == "" || answers[i].ID == ids[i] }
	for i := range ids {
		for j := i + 1; !fits(i) && j < len(answers); j++ {
			if answers[j].ID == ids[i] {
				// What lies between keeps its order, for the sake of equal ids.
				found := answers[j]
				copy(answers[i+1:j+1], answers[i:j])
				answers[i] = found
			}
		}
		if !fits(i) {
			return false
		}
	}
	return true
}
