package storetest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch/storetest"
)

func TestEmbedded(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		store := testkit.EmbeddedStore(t)
		return storetest.Store{Cluster: store.Cluster, Server: storetest.Embedded, Prefix: store.Prefix}
	})
}

func TestPouchDB(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		store := testkit.PouchDBStore(t)
		return storetest.Store{Cluster: store.Cluster, Server: storetest.PouchDB, Prefix: store.Prefix}
	})
}

// TestCouchDB is the only one that may be skipped: a CouchDB is no package that
// the kit could install.
func TestCouchDB(t *testing.T) {
	if _, _, _, ok := testkit.CouchDB(t); !ok {
		t.Skipf("set %s to a CouchDB, as http://admin:password@127.0.0.1:5984", testkit.CouchDBVariable)
	}
	storetest.Run(t, func(t *testing.T) storetest.Store {
		store, _ := testkit.CouchDBStore(t)
		return storetest.Store{Cluster: store.Cluster, Server: storetest.CouchDB, Prefix: store.Prefix}
	})
}

// TestLosingRevision: what a cluster can keep of two writers that both won, on
// nodes that did not see each other, is seen by the one who asks for it. The embedded
// store has one node.
func TestLosingRevision(t *testing.T) {
	check := func(t *testing.T, store testkit.NamedStore, address, user, password string) {
		db := store.DB("claims/a")
		if _, err := store.Cluster.CreateDB(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		const body = `{"new_edits":false,"docs":[
			{"_id":"a","_rev":"1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","owner":"first"},
			{"_id":"a","_rev":"1-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","owner":"second"}]}`
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			strings.TrimSuffix(address, "/")+"/"+url.PathEscape(db)+"/_bulk_docs", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // the status says it all
		if resp.StatusCode != http.StatusCreated {
			t.Fatal(resp.Status)
		}
		doc, err := store.Cluster.GetWithConflicts(t.Context(), db, "a")
		if err != nil {
			t.Fatal(err)
		}
		checkConflict(t, doc)
		rows, err := store.Cluster.GetMany(t.Context(), db, []string{"a"})
		if err != nil || len(rows) != 1 {
			t.Fatalf("%v, %v", rows, err)
		}
		checkConflict(t, rows[0].Doc)
		if doc, err := store.Cluster.Get(t.Context(), db, "a"); err != nil || strings.Contains(string(doc), "_conflicts") {
			t.Fatalf("%s, %v", doc, err)
		}
		if _, err := store.Cluster.Delete(t.Context(), db, "a", "1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"); err != nil {
			t.Fatal(err)
		}
		if doc, err := store.Cluster.GetWithConflicts(t.Context(), db, "a"); err != nil || strings.Contains(string(doc), "_conflicts") {
			t.Fatalf("%s, %v", doc, err)
		}
	}
	t.Run("PouchDB", func(t *testing.T) {
		check(t, testkit.PouchDBStore(t), testkit.SharedPouchDB(t).URL(), "", "")
	})
	t.Run("CouchDB", func(t *testing.T) {
		address, user, password, ok := testkit.CouchDB(t)
		if !ok {
			t.Skipf("set %s", testkit.CouchDBVariable)
		}
		store, _ := testkit.CouchDBStore(t)
		check(t, store, address, user, password)
	})
}

func checkConflict(t *testing.T, doc json.RawMessage) {
	t.Helper()
	var got struct {
		Owner     string   `json:"owner"`
		Conflicts []string `json:"_conflicts"`
	}
	if err := json.Unmarshal(doc, &got); err != nil {
		t.Fatal(err)
	}
	if got.Owner != "second" || len(got.Conflicts) != 1 || got.Conflicts[0] != "1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
		t.Fatalf("%s", doc)
	}
}

// TestDifferences: the table says all of each difference, once.
func TestDifferences(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range storetest.Differences {
		if seen[d.Name] {
			t.Errorf("%q stands twice in the table", d.Name)
		}
		seen[d.Name] = true
		if d.Name == "" || len(d.Servers) == 0 || d.Does == "" || d.Handling == "" || !strings.Contains(d.Documented, "https://") {
			t.Errorf("%q is incomplete", d.Name)
		}
	}
}
