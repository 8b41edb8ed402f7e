// Package storetest is the one conformance suite of all stores: what the code
// above couch.Cluster relies on, in CouchDB's documented terms. The embedded store,
// a server that speaks CouchDB's protocol and CouchDB itself must all pass it.
//
// Where a server differs from the documentation, the documentation rules, and
// the difference stands in the table of differences.go. The suite checks a difference
// as strictly as a rule, so that one that is gone does not go unnoticed.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Store is a store under test.
type Store struct {
	Cluster *couch.Cluster
	Server  Server // whose differences are known
	// Prefix begins the names of the databases that a test makes; the opener
	// removes those when the test ends.
	Prefix string
}

// patience is how long the suite waits for what must happen. It is never waited
// out by a store that works.
const patience = 30 * time.Second

// Run runs the whole suite. open is called once for each test, by tests that run
// side by side.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Databases", databaseTests},
		{"Documents", documentTests},
		{"Contents", contentTests},
		{"Bulk", bulkTests},
		{"Ranges", rangeTests},
		{"Views", viewTests},
		{"Changes", changesTests},
		{"Waiting", waitingTests},
		{"Concurrency", concurrencyTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
					t.Cleanup(cancel)
					test.run(&suite{T: t, Store: open(t), ctx: ctx})
				})
			}
		})
	}
}

// test is one test of the suite.
type test struct {
	name string
	run  func(*suite)
}

// suite is what a test works with: the store, and checks that end the test.
type suite struct {
	*testing.T
	Store
	ctx context.Context
}

// db makes a database and gives its name, which holds a slash as those of instances do.
func (s *suite) db(name string) string {
	s.Helper()
	db := s.Prefix + "s/" + name
	if _, err := s.Cluster.CreateDB(s.ctx, db); err != nil {
		s.Fatal(err)
	}
	return db
}

// put writes a document and gives its revision.
func (s *suite) put(db, id, doc string) (rev string) {
	s.Helper()
	rev, err := s.Cluster.Put(s.ctx, db, id, json.RawMessage(doc))
	if err != nil {
		s.Fatal(err)
	}
	if rev == "" {
		s.Fatalf("put %s: no revision", id)
	}
	return rev
}

// remove deletes a document and gives the revision of the deletion.
func (s *suite) remove(db, id, rev string) string {
	s.Helper()
	deleted, err := s.Cluster.Delete(s.ctx, db, id, rev)
	if err != nil {
		s.Fatal(err)
	}
	return deleted
}

// fill writes documents with these ids, each with the field n, its place.
func (s *suite) fill(db string, ids ...string) {
	s.Helper()
	docs := make([]any, len(ids))
	for i, id := range ids {
		docs[i] = map[string]any{"_id": id, "n": i}
	}
	results, err := s.Cluster.Bulk(s.ctx, db, docs)
	if err != nil {
		s.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			s.Fatal(r.Err)
		}
	}
}

// numbered are n ids in the order of their bytes.
func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("doc-%06d", i)
	}
	return ids
}

// walk reads a range, and checks that each document is the one of its id.
func (s *suite) walk(db string, r couch.Range) []string {
	s.Helper()
	ids := []string{}
	err := s.Cluster.Walk(s.ctx, db, r, func(row couch.Row) error {
		s.Helper()
		s.sameID(row.ID, row.Doc)
		ids = append(ids, row.ID)
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return ids
}

func (s *suite) sameID(id string, doc json.RawMessage) {
	s.Helper()
	var got struct {
		ID  string `json:"_id"`
		Rev string `json:"_rev"`
	}
	if err := json.Unmarshal(doc, &got); err != nil {
		s.Fatalf("document of %q: %v: %s", id, err, doc)
	}
	if got.ID != id || got.Rev == "" {
		s.Fatalf("document of %q has _id %q and _rev %q", id, got.ID, got.Rev)
	}
}

// body is a document without _id and _rev.
func (s *suite) body(doc json.RawMessage) map[string]any {
	s.Helper()
	var fields map[string]any
	if err := json.Unmarshal(doc, &fields); err != nil {
		s.Fatalf("%v: %.200s", err, doc)
	}
	delete(fields, "_id")
	delete(fields, "_rev")
	return fields
}

// keeps checks that a document that was read holds what was written.
func (s *suite) keeps(db, id, written string) {
	s.Helper()
	doc, err := s.Cluster.Get(s.ctx, db, id)
	if err != nil {
		s.Fatal(err)
	}
	s.sameID(id, doc)
	if got, want := s.body(doc), s.body(json.RawMessage(written)); !reflect.DeepEqual(got, want) {
		s.Fatalf("document %q:\n got %.500v\nwant %.500v", id, got, want)
	}
}

// is checks an error.
func (s *suite) is(err, target error, what string) {
	s.Helper()
	if !errors.Is(err, target) {
		s.Fatalf("%s: got the error %v, want %v", what, err, target)
	}
}

func (s *suite) same(got, want []string, what string) {
	s.Helper()
	if !slices.Equal(got, want) {
		if len(got) > 20 || len(want) > 20 {
			s.Fatalf("%s: got %d, want %d; they differ at %d", what, len(got), len(want), firstDifference(got, want))
		}
		s.Fatalf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func firstDifference(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
