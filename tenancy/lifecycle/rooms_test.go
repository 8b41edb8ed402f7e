// Rooms: the databases of instances apart from a slow server, in an embedded store that
// a line speaks HTTP for, so that hundreds of deaths, of which the records, claims and
// the journal are the server's, take seconds.

package lifecycle_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// rooms answers for the databases of instances. All lines of a fleet share them.
type rooms struct{ store *couch.Cluster }

// eachApart runs a test on each kind of store, without real databases of instances on
// the slow one: a repair asks it for hundreds of lists.
func eachApart(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Helper()
	eachStore(t, func(t *testing.T, f *fleet) {
		if f.kind == testkit.KindPouchDB {
			f.apart(t)
		}
		test(t, f)
	})
}

// apart keeps the databases of instances apart from now on, on a server.
func (f *fleet) apart(t testing.TB) *fleet {
	t.Helper()
	if f.hollow != nil {
		f.hollow.rooms = &rooms{store: embeddedFleet(t).store}
	}
	return f
}

// serve answers a request for such a database; false leaves it to the server.
func (r *rooms) serve(w http.ResponseWriter, q *http.Request) bool {
	path := strings.TrimPrefix(q.URL.Path, "/")
	if path == "_all_dbs" && strings.HasPrefix(q.URL.Query().Get("startkey"), `"cozy`) {
		return r.serveList(w, q)
	}
	parts := strings.SplitN(path, "/", 3)
	if !strings.HasPrefix(path, "cozy") || len(parts) < 2 {
		return false
	}
	db, id := parts[0]+"/"+parts[1], ""
	if len(parts) == 3 {
		id = parts[2]
	}
	answer, err := r.do(q, db, id)
	status := http.StatusOK
	var failed *couch.Error
	switch {
	case errors.As(err, &failed):
		status, answer = failed.Status, map[string]string{"error": http.StatusText(failed.Status), "reason": failed.Error()}
	case err != nil:
		status, answer = http.StatusInternalServerError, map[string]string{"error": "broken", "reason": err.Error()}
	case q.Method != http.MethodGet:
		status = http.StatusCreated
	}
	w.Header().Set("Content-Type", "application/json")
	if fields, ok := answer.(map[string]any); ok && fields["rev"] != nil {
		w.Header().Set("ETag", fmt.Sprintf("%q", fields["rev"]))
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a client that has gone is no concern
	return true
}

// serveList answers for a list that can hold no database but these.
func (r *rooms) serveList(w http.ResponseWriter, q *http.Request) bool {
	prefix, err := strconv.Unquote(q.URL.Query().Get("startkey"))
	if err != nil {
		return false
	}
	names, err := r.store.ListDBs(q.Context(), prefix)
	if err != nil {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(append([]string{}, names...)) // a client that has gone is no concern
	return true
}

func (r *rooms) do(q *http.Request, db, id string) (any, error) {
	ctx := q.Context()
	ok := map[string]any{"ok": true}
	switch {
	case id == "" && q.Method == http.MethodPut:
		created, err := r.store.CreateDB(ctx, db)
		if err == nil && !created {
			err = &couch.Error{Op: "create", Database: db, Status: http.StatusPreconditionFailed, Err: errors.New("file_exists")}
		}
		return ok, err
	case id == "" && q.Method == http.MethodDelete:
		existed, err := r.store.DestroyDB(ctx, db)
		if err == nil && !existed {
			err = &couch.Error{Op: "destroy", Database: db, Status: http.StatusNotFound, Err: errors.New("missing")}
		}
		return ok, err
	case id == "" && q.Method == http.MethodGet:
		info, err := r.store.Info(ctx, db)
		return map[string]any{"db_name": db, "doc_count": info.Docs, "update_seq": info.UpdateSeq, "instance_start_time": "0"}, err
	case id == "_bulk_docs":
		return r.bulk(q, db)
	case id == "_all_docs":
		return r.list(q, db)
	case q.Method == http.MethodGet:
		return r.store.Get(ctx, db, id)
	case q.Method == http.MethodPut:
		var doc json.RawMessage
		if err := json.NewDecoder(q.Body).Decode(&doc); err != nil {
			return nil, err
		}
		rev, err := r.store.Put(ctx, db, id, doc)
		return map[string]any{"ok": true, "id": id, "rev": rev}, err
	case q.Method == http.MethodDelete:
		rev, err := r.store.Delete(ctx, db, id, q.URL.Query().Get("rev"))
		return map[string]any{"ok": true, "id": id, "rev": rev}, err
	default:
		return nil, &couch.Error{Op: q.Method, Database: db, ID: id, Status: http.StatusNotImplemented, Err: errors.New("not in a room")}
	}
}

func (r *rooms) bulk(q *http.Request, db string) (any, error) {
	var body struct {
		Docs []json.RawMessage `json:"docs"`
	}
	if err := json.NewDecoder(q.Body).Decode(&body); err != nil {
		return nil, err
	}
	results, err := r.store.Bulk(q.Context(), db, docs(body.Docs))
	out := []map[string]any{}
	for _, res := range results {
		row := map[string]any{"ok": true, "id": res.ID, "rev": res.Rev}
		if res.Err != nil {
			row = map[string]any{"id": res.ID, "error": "conflict", "reason": "Document update conflict."}
		}
		out = append(out, row)
	}
	return out, err
}

func (r *rooms) list(q *http.Request, db string) (any, error) {
	var body struct {
		Keys []string `json:"keys"`
	}
	if q.Method == http.MethodPost {
		if err := json.NewDecoder(q.Body).Decode(&body); err != nil {
			return nil, err
		}
	}
	out := []map[string]any{}
	row := func(row couch.Row) error {
		out = append(out, map[string]any{"id": row.ID, "key": row.ID, "value": map[string]any{}, "doc": row.Doc})
		return nil
	}
	if body.Keys == nil {
		err := r.store.Walk(q.Context(), db, couch.Range{}, row)
		return map[string]any{"total_rows": len(out), "offset": 0, "rows": out}, err
	}
	found, err := r.store.GetMany(q.Context(), db, body.Keys)
	for _, each := range found {
		_ = row(each) // it gives no error
	}
	return map[string]any{"total_rows": len(out), "offset": 0, "rows": out}, err
}

// docs are documents as Bulk takes them.
func docs(raw []json.RawMessage) []any {
	out := make([]any, len(raw))
	for i, doc := range raw {
		out[i] = doc
	}
	return out
}
