// What the tests share: a store for each, short forms of calls, and the child
// processes that crash or hold the lock.

package embedded_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	kivik "github.com/go-kivik/kivik/v4"
	"go.uber.org/goleak"

	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

// childEnv makes the test binary a child process: what it does, and on which file.
const childEnv = "EMBEDDED_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		os.Exit(child(role, os.Getenv(childEnv+"_PATH")))
	}
	goleak.VerifyTestMain(m)
}

// newStore makes a store in a folder of the test's own.
func newStore(t testing.TB, opts ...embedded.Option) *embedded.Store {
	t.Helper()
	store := embedded.New(filepath.Join(t.TempDir(), "store", "gatehouse.db"), opts...)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return store
}

// newDB makes a store with one database.
func newDB(t testing.TB, opts ...embedded.Option) *kivik.DB {
	t.Helper()
	client := newStore(t, opts...).Client()
	create(t, client, "db")
	return client.DB("db")
}

func create(t testing.TB, client *kivik.Client, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := client.CreateDB(t.Context(), name); err != nil {
			t.Fatalf("CreateDB(%s): %v", name, err)
		}
	}
}

// put writes a document that is given as JSON, and gives its revision.
func put(t testing.TB, db *kivik.DB, id, doc string) string {
	t.Helper()
	rev, err := db.Put(t.Context(), id, json.RawMessage(doc))
	if err != nil {
		t.Fatalf("Put(%s, %s): %v", id, doc, err)
	}
	return rev
}

func remove(t testing.TB, db *kivik.DB, id, rev string) string {
	t.Helper()
	rev, err := db.Delete(t.Context(), id, rev)
	if err != nil {
		t.Fatalf("Delete(%s): %v", id, err)
	}
	return rev
}

// get reads a document as JSON text.
func get(t testing.TB, db *kivik.DB, id string, opts ...kivik.Option) string {
	t.Helper()
	var doc json.RawMessage
	if err := db.Get(t.Context(), id, opts...).ScanDoc(&doc); err != nil {
		t.Fatalf("Get(%s): %v", id, err)
	}
	return string(doc)
}

// wantStatus checks the HTTP status of an error, and its text where one is given.
func wantStatus(t testing.TB, err error, status int, text ...string) {
	t.Helper()
	if got := kivik.HTTPStatus(err); got != status {
		t.Errorf("status %d, want %d (error: %v)", got, status, err)
		return
	}
	if len(text) > 0 && err.Error() != text[0] {
		t.Errorf("error %q, want %q", err, text[0])
	}
}

// aRow is a row of a list, as text.
type aRow struct{ id, key, value, doc string }

// list reads all rows.
func list(t testing.TB, rs *kivik.ResultSet) (rows []aRow, meta *kivik.ResultMetadata) {
	t.Helper()
	defer rs.Close() //nolint:errcheck // Err tells
	for rs.Next() {
		var r aRow
		r.id, _ = rs.ID()
		r.key, _ = rs.Key()
		var raw json.RawMessage
		if err := rs.ScanValue(&raw); err == nil {
			r.value = string(raw)
		}
		raw = nil
		if err := rs.ScanDoc(&raw); err == nil {
			r.doc = string(raw)
		}
		rows = append(rows, r)
	}
	if err := rs.Err(); err != nil {
		t.Fatal(err)
	}
	meta, err := rs.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	return rows, meta
}

func ids(rows []aRow) []string {
	list := []string{}
	for _, r := range rows {
		list = append(list, r.id)
	}
	return list
}

// aChange is a row of the changes feed.
type aChange struct {
	id, rev, seq string
	deleted      bool
	doc          string
}

// changes reads a feed to its end.
func changes(t testing.TB, db *kivik.DB, opts ...kivik.Option) ([]aChange, *kivik.ChangesMetadata) {
	t.Helper()
	rows, meta, err := feed(t.Context(), db, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return rows, meta
}

func feed(ctx context.Context, db *kivik.DB, opts ...kivik.Option) (rows []aChange, meta *kivik.ChangesMetadata, err error) {
	c := db.Changes(ctx, opts...)
	defer c.Close() //nolint:errcheck // Err tells
	for c.Next() {
		row := aChange{id: c.ID(), rev: c.Changes()[0], seq: c.Seq(), deleted: c.Deleted()}
		var raw json.RawMessage
		if c.ScanDoc(&raw) == nil {
			row.doc = string(raw)
		}
		rows = append(rows, row)
	}
	if err := c.Err(); err != nil {
		return nil, nil, err
	}
	meta, err = c.Metadata()
	return rows, meta, err
}
