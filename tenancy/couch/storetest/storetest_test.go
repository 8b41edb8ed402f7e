package storetest_test

import (
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
