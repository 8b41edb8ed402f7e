// Benchmark: the first reading of a store.

package directory_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

// BenchmarkCatchUp has a node without a snapshot read an embedded store, of documents
// as large as a stack's.
func BenchmarkCatchUp(b *testing.B) {
	n := min(fleetSize(), 100_000)
	store := embedded.New(filepath.Join(b.TempDir(), "gatehouse.db"))
	defer store.Close()
	cluster := couch.Wrap("embedded", store.Client())
	if _, err := cluster.CreateDB(b.Context(), directory.DefaultDatabase); err != nil {
		b.Fatal(err)
	}
	for at := 0; at < n; {
		var docs []any
		for ; at < n && len(docs) < 5_000; at++ {
			docs = append(docs, storedDoc(at))
		}
		if _, err := cluster.Bulk(b.Context(), directory.DefaultDatabase, docs); err != nil {
			b.Fatal(err)
		}
	}
	before := processorTime()
	b.ReportAllocs()
	for b.Loop() {
		d := directory.New(directory.Options{Cluster: cluster})
		d.Start()
		<-d.Ready()
		b.StopTimer()
		if err := d.Stop(context.Background()); err != nil || d.Len() != n {
			b.Fatal(err, d.Len())
		}
		b.StartTimer()
	}
	docs := float64(n) * float64(b.N)
	b.ReportMetric(docs/b.Elapsed().Seconds(), "docs/s")
	b.ReportMetric(docs/(processorTime()-before).Seconds(), "docs/cpu-s")
}

// storedDoc is fleetRaw with what a stack keeps beside.
func storedDoc(i int) map[string]any {
	var doc map[string]any
	if err := json.Unmarshal(fleetRaw(i, 1), &doc); err != nil {
		panic(err)
	}
	delete(doc, "_rev")
	doc["oauth_secret"], doc["cli_secret"] = strings.Repeat("s", 172), strings.Repeat("c", 172)
	doc["passphrase_hash"] = strings.Repeat("p", 120)
	doc["indexes_version"], doc["auth_mode"], doc["email"] = 38, 0, "owner@example.com"
	doc["tos"], doc["register_token"] = "1.0.0", nil
	doc["feature_flags"] = map[string]any{"a.flag": true, "another.flag": []string{"some", "values"}}
	return doc
}
