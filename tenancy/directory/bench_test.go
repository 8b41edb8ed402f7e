// Benchmarks: look-ups and changes at a fleet's size, the snapshot, and memory.

package directory_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
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
	d := loaded(n, "")
	if fleets.made == nil {
		fleets.made = map[int]*directory.Directory{}
	}
	fleets.made[n] = d
	return d
}

// loaded is a stopped directory that has read n instances; snapshot may be empty.
func loaded(n int, snapshot string) *directory.Directory {
	d := directory.New(directory.Options{Cluster: &fleetFeed{n: n}, Snapshot: snapshot, Wait: time.Hour})
	d.Start()
	<-d.Ready()
	if err := d.Stop(context.Background()); err != nil {
		panic(err)
	}
	runtime.GC()
	return d
}

// fleetFeed makes its documents when they are read, so that the memory is the
// directory's alone.
type fleetFeed struct{ n int }

func (f *fleetFeed) Info(context.Context, string) (couch.Info, error) {
	return couch.Info{UpdateSeq: strconv.Itoa(f.n), Born: "1"}, nil
}

func (f *fleetFeed) Changes(ctx context.Context, _ string, ask couch.Feed, fn func(couch.Change) error) (string, bool, error) {
	at, _ := strconv.Atoi(ask.Since)
	if at == f.n {
		<-ctx.Done()
		return "", false, ctx.Err()
	}
	to := min(f.n, at+couch.PageSize)
	for i := at; i < to; i++ {
		if err := fn(change(fleetDoc(i, 1))); err != nil {
			return "", false, err
		}
	}
	return strconv.Itoa(to), to < f.n, nil
}

// BenchmarkPlainMap is the floor: one look-up in one map that nobody changes,
// on the machine as it is while the others are measured.
func BenchmarkPlainMap(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			entries, m := make([]directory.Entry, n), make(map[string]*directory.Entry, n)
			for i := range n {
				m[fleetName(i)] = &entries[i]
			}
			hosts := fleetHosts(n, "")
			runtime.GC()
			var next atomic.Uint32
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := next.Add(1) * 7001
				for pb.Next() {
					i++
					if m[hosts[i&(1<<16-1)]] == nil {
						b.Error("the wrong answer")
					}
				}
			})
		})
	}
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
				b.ResetTimer()
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
		d := loaded(n, "")
		b.ReportMetric(float64(heap()-before)/n, "B/host")
		runtime.KeepAlive(d)
	}
}

// BenchmarkSnapshot writes and reads the file of a million instances. Writing is
// measured as stopping; reading as the time from Start until it is ready, with a
// store that does not answer.
func BenchmarkSnapshot(b *testing.B) {
	const n = 1_000_000
	path := filepath.Join(b.TempDir(), "directory")
	loaded(n, path)
	stat, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	down := newFeed()
	down.err = errDown
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			d := directory.New(directory.Options{Cluster: down, Snapshot: path})
			d.Start()
			<-d.Ready()
			b.StopTimer()
			if err := d.Stop(context.Background()); err != nil || d.Len() != n {
				b.Fatal(err, d.Len())
			}
			b.StartTimer()
		}
		b.ReportMetric(float64(stat.Size())/n, "file-B/host")
	})
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			d := directory.New(directory.Options{Cluster: down, Snapshot: path})
			d.Start()
			<-d.Ready()
			d.Apply(fleetDoc(0, 2))
			b.StartTimer()
			if err := d.Stop(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
