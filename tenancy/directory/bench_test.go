// Benchmarks: look-ups and changes at a fleet's size, the snapshot, and memory.

package directory_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// fleetName is the domain of instance i; fleetName and the documents look like
// those of a stack.
func fleetName(i int) string { return "tenant" + strconv.Itoa(i*7919%10_000_019) + ".example.com" }

func fleetDoc(i, generation int) *tenancy.Instance {
	doc := tenancy.NewInstance()
	doc.Set("_id", fmt.Sprintf("%032x", i))
	doc.Set("_rev", fmt.Sprintf("%d-%032x", generation, i))
	doc.Set("domain", fleetName(i))
	doc.Set("prefix", fmt.Sprintf("cozy%032x", i))
	doc.Set("uuid", fmt.Sprintf("%08x-0000-4000-8000-000000000000", i))
	doc.Set("context", "default")
	doc.Set("locale", "fr")
	return doc
}

var fleets struct {
	sync.Mutex
	made map[int]*directory.Directory
}

// fleet is a ready directory of n instances, made once for all benchmarks.
func fleet(n int) *directory.Directory {
	fleets.Lock()
	defer fleets.Unlock()
	if d := fleets.made[n]; d != nil {
		return d
	}
	docs := make([]*tenancy.Instance, 0, n)
	for i := range n {
		docs = append(docs, fleetDoc(i, 1))
	}
	d := directory.New(directory.Options{Cluster: newFeed(docs...)})
	d.Start()
	<-d.Ready()
	if fleets.made == nil {
		fleets.made = map[int]*directory.Directory{}
	}
	fleets.made[n] = d
	return d
}

func fleetHosts(n int, prefix string) []string {
	hosts := make([]string, 1<<16)
	for i := range hosts {
		hosts[i] = prefix + fleetName(rand.IntN(n))
	}
	return hosts
}

func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		for _, c := range []struct{ name, prefix string }{
			{"instance", ""}, {"app", "drive."}, {"unknown", "no.such.app."},
		} {
			b.Run(fmt.Sprintf("%d/%s", n, c.name), func(b *testing.B) {
				d, hosts := fleet(n), fleetHosts(n, c.prefix)
				b.ReportAllocs()
				var next atomic.Uint32
				b.RunParallel(func(pb *testing.PB) {
					i := next.Add(1) * 7001
					for pb.Next() {
						i++
						if _, ok := d.Resolve(hosts[i&(1<<16-1)], directory.Nested); ok == (c.name == "unknown") {
							b.Error("the wrong answer")
						}
					}
				})
			})
		}
	}
}

// BenchmarkResolveUnderChange has 1,000 changes a second beside the look-ups.
func BenchmarkResolveUnderChange(b *testing.B) {
	const n = 1_000_000
	d, hosts := fleet(n), fleetHosts(n, "")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				benchGeneration++
				d.Apply(fleetDoc(rand.IntN(n), benchGeneration))
			}
		}
	}()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		i := rand.Uint32()
		for pb.Next() {
			i++
			d.Resolve(hosts[i&(1<<16-1)], directory.Nested)
		}
	})
	b.StopTimer()
	close(stop)
	<-done
}

var benchGeneration = 1

func BenchmarkDecide(b *testing.B) {
	d, hosts := fleet(100_000), fleetHosts(100_000, "drive.")
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if v := d.Decide(hosts[i&(1<<16-1)], directory.Nested); v.Kind != directory.Serve {
			b.Fatal(v)
		}
	}
}

// BenchmarkApply is one change of an instance that is there, document and all.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			d := fleet(n)
			docs := make([]*tenancy.Instance, 1024)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i%len(docs) == 0 {
					b.StopTimer()
					benchGeneration++
					for j := range docs {
						docs[j] = fleetDoc((i+j)%n, benchGeneration)
					}
					b.StartTimer()
				}
				if !d.Apply(docs[i%len(docs)]) {
					b.Fatal("nothing changed")
				}
				i++
			}
		})
	}
}

// BenchmarkMemory tells what an instance of one host costs.
func BenchmarkMemory(b *testing.B) {
	const n = 200_000
	for b.Loop() {
		before := heap()
		d := directory.New(directory.Options{})
		for i := range n {
			d.Apply(fleetDoc(i, 1))
		}
		b.ReportMetric(float64(heap()-before)/n, "B/host")
		runtime.KeepAlive(d)
	}
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
