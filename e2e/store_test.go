// A store that speaks CouchDB's protocol, read from outside while front doors run on it.

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

// couchServer is a store that answers while a front door runs on it.
type couchServer struct {
	t   testing.TB
	url string
}

// doc is a document of the store; nil where there is none.
func (s couchServer) doc(db, id string) map[string]any {
	s.t.Helper()
	resp, err := http.Get(s.url + "/" + url.PathEscape(db) + "/" + url.PathEscape(id))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil
	}
	var doc map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s of %s: %d, %v", id, db, resp.StatusCode, err)
	}
	return doc
}

// docs are all documents of a database.
func (s couchServer) docs(db string) []map[string]any {
	s.t.Helper()
	resp, err := http.Get(s.url + "/" + url.PathEscape(db) + "/_all_docs?include_docs=true")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var all struct {
		Rows []struct{ Doc map[string]any }
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d, %v", db, resp.StatusCode, err)
	}
	out := make([]map[string]any, len(all.Rows))
	for i, row := range all.Rows {
		out[i] = row.Doc
	}
	return out
}

// record is the document of an instance.
func (s couchServer) record(domain string) map[string]any {
	s.t.Helper()
	for _, doc := range s.docs("global/instances") {
		if doc["domain"] == domain {
			return doc
		}
	}
	return nil
}
