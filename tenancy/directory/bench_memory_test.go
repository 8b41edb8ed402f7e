// Benchmarks: what a fleet takes of memory and of the collector's time, through a
// snapshot and a reload as well.

package directory_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// BenchmarkMemory tells what a fleet keeps of the heap after a collection, for each
// host, beyond the text of the host's name: a domain or an alias in normal form, once.
// Ids, prefixes, revisions and whatever else counts. It tells how long a collection
// takes, and both again after as many changes as there are instances.
func BenchmarkMemory(b *testing.B) {
	n := fleetSize()
	names := float64(fleetNames(n))
	for b.Loop() {
		before, gcBefore := heap(), collection()
		d := loaded(n, "")
		hosts := float64(d.Hosts())
		b.ReportMetric((float64(heap()-before)-names)/hosts, "B/host")
		b.ReportMetric(hosts/float64(n), "hosts/instance")
		b.ReportMetric(names/hosts, "name-B/host")
		b.ReportMetric(float64((collection()-gcBefore).Microseconds())/1000, "gc-ms")
		for i := range n {
			benchGeneration++
			d.Apply(parsed(fleetRaw(rand.IntN(n), 1+i/4*5))) // no other aliases: the names stay
		}
		b.ReportMetric((float64(heap()-before)-names)/hosts, "changed-B/host")
		runtime.KeepAlive(d)
	}
}

// collection is how much processor time a collection takes, the median of five.
func collection() time.Duration {
	var took latencies
	for range 5 {
		before := processorTime()
		runtime.GC()
		took.add(processorTime() - before)
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// BenchmarkSnapshot writes and reads the file of a fleet. Writing is measured as
// stopping; reading as the time from Start until it is ready, with a store that does
// not answer.
func BenchmarkSnapshot(b *testing.B) {
	n := fleetSize()
	path := filepath.Join(b.TempDir(), "directory")
	hosts := float64(loaded(n, path).Hosts())
	stat, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	down := newFeed()
	down.err = errDown
	b.Run("load", func(b *testing.B) {
		var start, end runtime.MemStats
		var used time.Duration
		for b.Loop() {
			b.StopTimer()
			runtime.GC()
			runtime.ReadMemStats(&start)
			b.StartTimer()
			before := processorTime()
			d := directory.New(directory.Options{Cluster: down, Snapshot: path})
			d.Start()
			<-d.Ready()
			b.StopTimer()
			used += processorTime() - before
			runtime.ReadMemStats(&end)
			if err := d.Stop(context.Background()); err != nil || d.Len() != n {
				b.Fatal(err, d.Len())
			}
			b.StartTimer()
		}
		b.ReportMetric(float64(stat.Size())/hosts, "file-B/host")
		b.ReportMetric(float64(end.TotalAlloc-start.TotalAlloc)/hosts, "allocated-B/host") // kept or not
		b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/op")
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

// BenchmarkSaveBeside has a snapshot written again and again, with 1,000 changes a
// second and look-ups beside it: how long those take is what is reported.
func BenchmarkSaveBeside(b *testing.B) {
	n := fleetSize()
	path := filepath.Join(b.TempDir(), "directory")
	loaded(n, path)
	down := newFeed()
	down.err = errDown
	d := directory.New(directory.Options{Cluster: down, Snapshot: path, SnapshotEvery: time.Millisecond})
	d.Start()
	<-d.Ready()
	hosts := someHosts(n, fleetName)
	var took latencies
	stop := changes(d, n, &took)
	var looked latencies
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		if d.Decide(hosts[i&(1<<16-1)], directory.Nested).Kind != directory.Serve {
			b.Fatal("the wrong answer")
		}
		if i%64 == 0 {
			looked.add(time.Since(began))
		}
	}
	stop()
	took.report(b, "change")
	looked.report(b, "look-up")
	if err := d.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkReload has the database made anew under a directory with a watcher. Each of
// its entries differs then. It tells the greatest heap meanwhile, for each host, names
// and all, and how long the changes of this node had to wait.
func BenchmarkReload(b *testing.B) {
	n := fleetSize()
	f := &fleetFeed{n: n}
	d := directory.New(directory.Options{Cluster: f, Wait: time.Hour})
	d.Start()
	<-d.Ready()
	told := 0
	cancel := d.Subscribe(func(_, _ directory.Entry) { told++ })
	defer cancel()
	for b.Loop() {
		before := heap()
		loads := d.Status().Loads
		var took latencies
		var peak atomic.Int64
		end, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			var stats runtime.MemStats
			for {
				select {
				case <-end:
					return
				case <-time.After(200 * time.Millisecond):
					runtime.ReadMemStats(&stats)
					peak.Store(max(peak.Load(), int64(stats.HeapInuse)))
				}
			}
		}()
		f.remake()
		for i := 0; d.Status().Loads == loads; i++ {
			began := time.Now()
			d.Remove("nobody", fmt.Sprintf("%d-x", i+1))
			took.add(time.Since(began))
			time.Sleep(time.Millisecond)
		}
		close(end)
		<-done
		took.report(b, "change")
		b.ReportMetric(float64(before)/float64(d.Hosts()), "before-B/host")
		b.ReportMetric(float64(peak.Load())/float64(d.Hosts()), "peak-B/host")
		b.ReportMetric(float64(heap())/float64(d.Hosts()), "after-B/host")
	}
	if told < n {
		b.Fatalf("the watcher was told of %d changes", told)
	}
	if err := d.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
}
