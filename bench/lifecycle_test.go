// What one add and one destroy cost: requests to the store, and time.

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// BenchmarkLifecycle adds and destroys one instance an iteration. It counts the
// requests of each: requests/add and requests/destroy.
func BenchmarkLifecycle(b *testing.B) {
	for _, kind := range []string{testkit.KindEmbedded, testkit.KindPouchDB, testkit.KindCouchDB} {
		b.Run(kind, func(b *testing.B) {
			store, ok := open(b, kind)
			if !ok {
				b.Skip("the environment names no CouchDB: set " + testkit.CouchDBVariable)
			}
			measure(b, store)
		})
	}
}

func open(b *testing.B, kind string) (testkit.NamedStore, bool) {
	switch kind {
	case testkit.KindEmbedded:
		return testkit.EmbeddedStore(b), true
	case testkit.KindPouchDB:
		return testkit.PouchDBStore(b), true
	default:
		return testkit.CouchDBStore(b)
	}
}

func measure(b *testing.B, store testkit.NamedStore) {
	clusters, err := lifecycle.NewClusters(map[int]lifecycle.Member{0: {Cluster: store.Cluster}})
	if err != nil {
		b.Fatal(err)
	}
	dir := directory.Local{Directory: directory.New(directory.Options{}), Mode: func() directory.Mode { return directory.Nested }}
	s := lifecycle.New(lifecycle.Options{Clusters: clusters, Directory: dir, Node: "bench"})
	ctx := context.Background()
	if err := s.Ensure(ctx); err != nil {
		b.Fatal(err)
	}
	var added, destroyed time.Duration
	var addCalls, destroyCalls int64
	n := 0
	for b.Loop() {
		n++
		domain, err := tenancy.ParseDomain(fmt.Sprintf("i%d.%sx.example.com", n, store.Prefix))
		if err != nil {
			b.Fatal(err)
		}
		calls, begin := store.Cluster.Calls(), time.Now()
		if _, err := s.Add(ctx, domain, lifecycle.Change{}, nil); err != nil {
			b.Fatal(err)
		}
		added += time.Since(begin)
		addCalls += store.Cluster.Calls() - calls
		calls, begin = store.Cluster.Calls(), time.Now()
		if err := s.Destroy(ctx, domain.String(), nil); err != nil {
			b.Fatal(err)
		}
		destroyed += time.Since(begin)
		destroyCalls += store.Cluster.Calls() - calls
	}
	count := float64(n)
	b.ReportMetric(float64(addCalls)/count, "requests/add")
	b.ReportMetric(float64(destroyCalls)/count, "requests/destroy")
	b.ReportMetric(added.Seconds()*1000/count, "ms/add")
	b.ReportMetric(destroyed.Seconds()*1000/count, "ms/destroy")
}

// BenchmarkDecide is the whole look-up of a request, with 100,000 instances.
func BenchmarkDecide(b *testing.B) {
	dir := directory.New(directory.Options{})
	dir.Start()
	b.Cleanup(func() { _ = dir.Stop(context.Background()) })
	<-dir.Ready()
	const instances = 100_000
	hosts := make([]string, instances)
	for i := range instances {
		hosts[i] = fmt.Sprintf("i%d.example.com", i)
		inst := tenancy.NewInstance()
		inst.Set("_id", fmt.Sprintf("%032x", i))
		inst.Set("_rev", "1-a")
		inst.Set("domain", hosts[i])
		dir.Apply(inst)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if v := dir.Decide(hosts[i*7919%instances], directory.Nested); v.Kind != directory.Serve {
				b.Fatal(v)
			}
		}
	})
}
