// Benchmarks: look-ups and changes at a fleet's size, while other things go on.

package directory_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// BenchmarkPlainMap is what one look-up costs in one map that nobody changes, on the
// machine as it is while the others are measured.
func BenchmarkPlainMap(b *testing.B) {
	for _, n := range []int{1_000, fleetSize()} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			m := make(map[string]*int, 2*n)
			values := make([]int, n)
			for i := range n {
				m[fleetName(i)], m[fleetAlias(i)] = &values[i], &values[i]
			}
			hosts := someHosts(n, fleetName)
			runtime.GC()
			lookUp(b, hosts, func(host string) bool { return m[host] != nil })
		})
	}
}

// hostKinds are what requests ask for.
var hostKinds = []struct {
	name    string
	of      func(i int) string
	unknown bool
}{
	{"instance", fleetName, false},
	{"alias", fleetAlias, false},
	{"app", func(i int) string { return "drive." + fleetName(i) }, false},
	{"unknown", func(i int) string { return "no.such.app." + fleetName(i) }, true},
}

func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{1_000, fleetSize()} {
		for _, kind := range hostKinds {
			b.Run(strconv.Itoa(n)+"/"+kind.name, func(b *testing.B) {
				d, hosts := fleet(n), someHosts(n, kind.of)
				lookUp(b, hosts, func(host string) bool {
					_, ok := d.Resolve(host, directory.Nested)
					return ok != kind.unknown
				})
			})
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	n := fleetSize()
	for _, kind := range hostKinds {
		b.Run(kind.name, func(b *testing.B) {
			d, hosts := fleet(n), someHosts(n, kind.of)
			lookUp(b, hosts, func(host string) bool {
				return (d.Decide(host, directory.Nested).Kind == directory.Serve) != kind.unknown
			})
		})
	}
}

// BenchmarkDecideUnderChange has 1,000 changes a second beside the look-ups. Its
// cpu-ns/op has the changes in it, and its allocations are theirs.
func BenchmarkDecideUnderChange(b *testing.B) {
	n := fleetSize()
	d, hosts := fleet(n), someHosts(n, fleetName)
	stop := changes(d, n, nil)
	lookUp(b, hosts, func(host string) bool { return d.Decide(host, directory.Nested).Kind == directory.Serve })
	stop()
}

// BenchmarkApply is one change of an instance that is there, document and all. A fifth
// of them changes the alias.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{100_000, fleetSize()} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			d := fleet(n)
			docs := make([]*tenancy.Instance, 1024)
			var took latencies
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i%len(docs) == 0 {
					b.StopTimer()
					benchGeneration++
					for j := range docs {
						docs[j] = parsed(fleetRaw((i+j)*7919%n, benchGeneration))
					}
					b.StartTimer()
				}
				began := time.Now()
				if !d.Apply(docs[i%len(docs)]) {
					b.Fatal("nothing changed")
				}
				took.add(time.Since(began))
				i++
			}
			took.report(b, "change")
		})
	}
}

// benchGeneration is that of the latest revisions. Benchmarks run one at a time.
var benchGeneration = 1

// lookUp asks for hosts on all processors. It reports the processor time of each as
// well, which does not depend on what else the machine does.
func lookUp(b *testing.B, hosts []string, ask func(host string) bool) {
	b.ReportAllocs()
	var next atomic.Uint32
	b.ResetTimer()
	before := processorTime()
	b.RunParallel(func(pb *testing.PB) {
		i := next.Add(1) * 7001
		for pb.Next() {
			i++
			if !ask(hosts[i&(1<<16-1)]) {
				b.Error("the wrong answer")
			}
		}
	})
	b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
}

func someHosts(n int, of func(i int) string) []string {
	hosts := make([]string, 1<<16)
	for i := range hosts {
		hosts[i] = of(rand.IntN(n))
	}
	return hosts
}

// changes makes 1,000 changes a second until stop is called, and notes how long each
// took.
func changes(d *directory.Directory, n int, took *latencies) (stop func()) {
	end, done := make(chan struct{}), make(chan struct{})
	benchGeneration++
	generation := benchGeneration
	benchGeneration += 1 << 20
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				generation++
				doc := parsed(fleetRaw(rand.IntN(n), generation))
				began := time.Now()
				d.Apply(doc)
				if took != nil {
					took.add(time.Since(began))
				}
			}
		}
	}()
	return func() {
		close(end)
		<-done
	}
}

// latencies are how long each of many things took.
type latencies []time.Duration

func (l *latencies) add(d time.Duration) { *l = append(*l, d) }

func (l latencies) report(b *testing.B, what string) {
	if len(l) == 0 {
		return
	}
	slices.Sort(l)
	for _, p := range []struct {
		name string
		at   int
	}{{"p50", len(l) / 2}, {"p99", len(l) * 99 / 100}, {"max", len(l) - 1}} {
		b.ReportMetric(float64(l[p.at].Microseconds()), p.name+"-"+what+"-µs")
	}
}

// BenchmarkOneByOne is what a request waits for: each look-up begins when the one before
// has ended, which the others do not (a processor fetches the memory of several at once
// where nothing in one depends on the last).
func BenchmarkOneByOne(b *testing.B) {
	n := fleetSize()
	hosts := someHosts(n, fleetName)
	b.Run("map", func(b *testing.B) {
		m := make(map[string]*int, 2*n)
		value := 1
		for i := range n {
			m[fleetName(i)], m[fleetAlias(i)] = &value, &value
		}
		runtime.GC()
		oneByOne(b, hosts, func(host string) int { return *m[host] })
	})
	b.Run("directory", func(b *testing.B) {
		d := fleet(n)
		oneByOne(b, hosts, func(host string) int {
			match, _ := d.Resolve(host, directory.Nested)
			return int(match.By)
		})
	})
}

// oneByOne goes from each host to the next by what ask returns, which is always 1.
func oneByOne(b *testing.B, hosts []string, ask func(host string) int) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i += ask(hosts[i&(1<<16-1)])
	}
	if i != b.N {
		b.Errorf("%d of %d were found", i, b.N)
	}
}
