// Stores: every kind of store that a test should hold on.

package testkit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

// CouchDBVariable names the environment variable with the URL of a CouchDB to test
// against, in which credentials of an administrator may stand.
const CouchDBVariable = "GATEHOUSE_TEST_COUCHDB_URL"

// Kinds of stores.
const (
	KindEmbedded = "embedded"
	KindPouchDB  = "pouchdb"
	KindCouchDB  = "couchdb"
)

// NamedStore is a store for one test.
type NamedStore struct {
	Kind    string // KindEmbedded, …
	Cluster *couch.Cluster
	// Prefix begins the names of the test's databases. It is this test's alone, and
	// databases that have it are destroyed when the test ends.
	Prefix string
	// Alone tells that no other test uses the store, so that databases may have
	// any name.
	Alone bool
}

// DB is the name of a database of the test.
func (s NamedStore) DB(name string) string { return s.Prefix + name }

// Stores opens one store of each kind: embedded, PouchDB, and CouchDB where the
// environment names one.
func Stores(t testing.TB) []NamedStore {
	t.Helper()
	stores := []NamedStore{EmbeddedStore(t), PouchDBStore(t)}
	if store, ok := CouchDBStore(t); ok {
		stores = append(stores, store)
	}
	return stores
}

// EmbeddedStore opens an embedded store in a folder of the test.
func EmbeddedStore(t testing.TB) NamedStore {
	t.Helper()
	store := embedded.New(filepath.Join(t.TempDir(), "store.db"))
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing the embedded store: %v", err)
		}
	})
	return NamedStore{Kind: KindEmbedded, Cluster: couch.Wrap(KindEmbedded, store.Client()), Prefix: Prefix(), Alone: true}
}

// PouchDBStore opens the shared PouchDB server.
func PouchDBStore(t testing.TB) NamedStore {
	t.Helper()
	return remote(t, KindPouchDB, couch.Config{URLs: []string{SharedPouchDB(t).URL()}})
}

// CouchDBStore opens the CouchDB that the environment names, where it does.
func CouchDBStore(t testing.TB) (NamedStore, bool) {
	t.Helper()
	address, user, password, ok := CouchDB(t)
	if !ok {
		return NamedStore{}, false
	}
	return remote(t, KindCouchDB, couch.Config{
		URLs:        []string{address},
		Credentials: func() (string, string) { return user, password },
	}), true
}

// CouchDB is where the CouchDB of the environment is, without its credentials, and
// those; ok is false where the variable is not set.
func CouchDB(t testing.TB) (address, user, password string, ok bool) {
	t.Helper()
	given := os.Getenv(CouchDBVariable)
	if given == "" {
		return "", "", "", false
	}
	u, err := url.Parse(given)
	if err != nil || u.Host == "" {
		t.Fatalf("%s is not a URL of the form http://user:password@host:5984", CouchDBVariable) // its content may be a secret
	}
	if u.User != nil {
		user = u.User.Username()
		password, _ = u.User.Password()
		u.User = nil
	}
	return u.String(), user, password, true
}

// Cluster opens a cluster that is closed when the test ends.
func Cluster(t testing.TB, cfg couch.Config) *couch.Cluster {
	t.Helper()
	c, err := couch.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("closing the cluster: %v", err)
		}
	})
	return c
}

// Prefix is a beginning for names of databases that no other test has.
func Prefix() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "t" + hex.EncodeToString(b[:]) + "-"
}

// remote opens a store that is shared with other tests, and cleans up behind its test.
func remote(t testing.TB, kind string, cfg couch.Config) NamedStore {
	t.Helper()
	s := NamedStore{Kind: kind, Prefix: Prefix()}
	// A cluster of its own, since the test may close the one that it has.
	broom := Cluster(t, cfg)
	t.Cleanup(func() { sweep(t, broom, s.Prefix) })
	s.Cluster = Cluster(t, cfg)
	return s
}

// sweep destroys the databases of a test. The time limit is its own, since the
// test's context has ended.
func sweep(t testing.TB, c *couch.Cluster, prefix string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	names, err := c.ListDBs(ctx, prefix)
	if err != nil {
		t.Errorf("cleaning up: %v", err)
		return
	}
	for _, name := range names {
		if _, err := c.DestroyDB(ctx, name); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	}
}
