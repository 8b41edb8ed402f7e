// A fleet for benchmarks: as many instances as are wanted, made once.

package directory_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// fleetSize is the number of instances, of two hosts each: 1,000,000, or what
// GATEHOUSE_BENCH_INSTANCES says.
func fleetSize() int {
	if n, err := strconv.Atoi(os.Getenv("GATEHOUSE_BENCH_INSTANCES")); err == nil && n > 0 {
		return n
	}
	return 1_000_000
}

// fleetAlias is the alias of instance i: one under a parent of its own, for which the
// directory keeps a count.
func fleetAlias(i int) string { return "www." + fleetName(i) + ".alias.org" }

// fleetRaw is fleetDoc with an alias, as the store has it. Other revisions have other
// aliases now and then.
func fleetRaw(i, generation int) []byte {
	alias := fleetAlias(i)
	if generation%5 == 0 {
		alias = "other." + alias
	}
	prefix := sha256.Sum256([]byte(fleetName(i))) // as tenancy.Domain.Prefix
	return fmt.Appendf(nil, `{"_id":"%032x","_rev":"%d-%032x","domain":%q,"domain_aliases":[%q],"prefix":"cozy%x",`+
		`"uuid":"%08x-0000-4000-8000-000000000000","context":"default","locale":"fr","onboarding_finished":true,`+
		`"session_secret":"c2Vzc2lvbiBzZWNyZXQgc2Vzc2lvbiBzZWNyZXQgc2Vzc2lvbiBzZWNyZXQ=","disk_quota":"1000000000"}`,
		i, generation, i, fleetName(i), alias, prefix[:16], i)
}

func parsed(raw []byte) *tenancy.Instance {
	doc, err := tenancy.ParseInstance(raw)
	if err != nil {
		panic(err)
	}
	return doc
}

// fleetNames is the number of bytes of all names.
func fleetNames(n int) (size int) {
	for i := range n {
		size += len(fleetName(i)) + len(fleetAlias(i))
	}
	return size
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
// directory's alone. It is a new database after each call of remake.
type fleetFeed struct {
	n    int
	mu   sync.Mutex
	born int
	wake chan struct{}
}

func (f *fleetFeed) state() (born int, wake chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wake == nil {
		f.wake = make(chan struct{})
	}
	return f.born, f.wake
}

func (f *fleetFeed) remake() {
	_, wake := f.state()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.born++
	f.wake = nil
	close(wake)
}

func (f *fleetFeed) Info(context.Context, string) (couch.Info, error) {
	born, _ := f.state()
	return couch.Info{UpdateSeq: strconv.Itoa(f.n), Born: strconv.Itoa(1 + born)}, nil
}

func (f *fleetFeed) Changes(ctx context.Context, _ string, ask couch.Feed, fn func(couch.Change) error) (string, bool, error) {
	at, _ := strconv.Atoi(ask.Since)
	if at == f.n {
		_, wake := f.state()
		select {
		case <-ctx.Done():
			return "", false, ctx.Err()
		case <-wake:
			return ask.Since, false, nil
		}
	}
	born, _ := f.state()
	to := min(f.n, at+couch.PageSize)
	for i := at; i < to; i++ {
		generation := 1 + born
		raw := fleetRaw(i, generation)
		c := couch.Change{ID: fmt.Sprintf("%032x", i), Rev: fmt.Sprintf("%d-%032x", generation, i), Doc: raw}
		if err := fn(c); err != nil {
			return "", false, err
		}
	}
	return strconv.Itoa(to), to < f.n, nil
}

// processorTime is what this process has used of all processors.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
