// Benchmarks of a Store on the embedded store.

package certstore_test

import (
	"fmt"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
)

// chain is as large as a certificate with its issuers.
var chain = make([]byte, 4<<10)

func BenchmarkStore(b *testing.B) {
	s := open(b, certstore.Options{Cluster: embeddedCluster(b)})
	for i := range b.N {
		must(b, s.Store(b.Context(), fmt.Sprintf("certificates/issuer/%d.example.com/crt", i), chain))
	}
}

func BenchmarkLoad(b *testing.B) {
	s := open(b, certstore.Options{Cluster: embeddedCluster(b)})
	must(b, s.Store(b.Context(), "k", chain))
	for b.Loop() {
		if _, err := s.Load(b.Context(), "k"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoadCached is a load while the store is known not to answer.
func BenchmarkLoadCached(b *testing.B) {
	c := embeddedCluster(b)
	s := open(b, certstore.Options{Cluster: c, Cache: b.TempDir(), Now: newClock().Now})
	must(b, s.Store(b.Context(), "k", chain))
	must(b, c.Close())
	for b.Loop() {
		if _, err := s.Load(b.Context(), "k"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoadLarge(b *testing.B) {
	s := open(b, certstore.Options{Cluster: embeddedCluster(b)})
	must(b, s.Store(b.Context(), "k", make([]byte, certstore.MaxValue)))
	b.SetBytes(certstore.MaxValue)
	for b.Loop() {
		if _, err := s.Load(b.Context(), "k"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLock(b *testing.B) {
	s := open(b, certstore.Options{Cluster: embeddedCluster(b)})
	for b.Loop() {
		must(b, s.Lock(b.Context(), "l"))
		must(b, s.Unlock(b.Context(), "l"))
	}
}

// BenchmarkList of a directory with 5,000 sites of 3 files each.
func BenchmarkList(b *testing.B) {
	c := embeddedCluster(b)
	s := open(b, certstore.Options{Cluster: c})
	must(b, s.Store(b.Context(), "warm", nil))
	for i := 0; i < 5000; i += 100 {
		var docs []any
		for j := range 100 {
			for _, ext := range []string{"crt", "key", "json"} {
				docs = append(docs, map[string]any{
					"_id": fmt.Sprintf("value/certificates/issuer/site%05d.example.com/site.%s", i+j, ext), "key_id": "x", "size": 3000, "sealed": chain,
				})
			}
		}
		_, err := c.Bulk(b.Context(), "certs", docs)
		must(b, err)
	}
	for b.Loop() {
		sites, err := s.List(b.Context(), "certificates/issuer", false)
		if err != nil || len(sites) != 5000 {
			b.Fatal(len(sites), err)
		}
	}
}
