// What the tests share: fleets of front doors on one store, each with a service, a
// directory and a share of one clock, that are all their own.

package lifecycle_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kivik "github.com/go-kivik/kivik/v4"
	"go.uber.org/goleak"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := trials.print(); err != nil {
			fmt.Println("the numbers of steps and faults:", err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

// trials are the deaths that were tried, a line for each test and store.
var trials trial

type trial struct {
	mu    sync.Mutex
	lines []string
}

// tried notes how many steps a test had, and at how many a front door died.
func tried(t testing.TB, kind string, steps, faults int) {
	t.Helper()
	trials.mu.Lock()
	defer trials.mu.Unlock()
	name, _, _ := strings.Cut(t.Name(), "/")
	trials.lines = append(trials.lines, fmt.Sprintf("%-26s %-9s %3d steps, %3d faults", name, kind, steps, faults))
}

// print shows them, and writes them to the file that the environment names: go test
// keeps to itself what a package prints that has passed.
func (t *trial) print() error {
	if len(t.lines) == 0 {
		return nil
	}
	slices.Sort(t.lines)
	text := strings.Join(t.lines, "\n") + "\n"
	fmt.Print(text)
	if file := os.Getenv("GATEHOUSE_TEST_FAULTS"); file != "" {
		return os.WriteFile(file, []byte(text), 0o600)
	}
	return nil
}

// clock is moved by hand.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ns.Store(time.Date(2026, 11, 24, 7, 23, 15, 10303013, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// expiry is longer than any lease, with the difference of clocks.
const expiry = 2 * lifecycle.DefaultLease

// fleet is one store with front doors on it.
type fleet struct {
	kind  string
	clock *clock
	peers *peers
	store *couch.Cluster // to look at, past all faults
	// line opens a client of a front door's own. Its faults are nil for the embedded store.
	line   func(t testing.TB) (*couch.Cluster, *line)
	hollow *hollow        // nil for the embedded store
	client *kivik.Client  // of the embedded store; else nil
	out    *outside       // what is beside the store, where a test has it
	more   map[string]int // documents that whole expects beside an instance's first ones, by database without prefix
	count  int
}

// door is one front door of a fleet.
type door struct {
	*lifecycle.Service
	name    string
	cluster *couch.Cluster
	line    *line // what can go wrong between it and the store; nil on the embedded one
	dir     *directory
}

// eachStore runs a test on each kind of store, with a store of its own.
func eachStore(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Helper()
	run := func(kind string, open func(t testing.TB) *fleet) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
	run(testkit.KindEmbedded, embeddedFleet)
	eachServer(t, test)
}

// eachLine runs a test on each kind of store, with front doors whose requests can fail.
func eachLine(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Helper()
	t.Run(testkit.KindEmbedded, func(t *testing.T) {
		t.Parallel()
		test(t, faultyFleet(t))
	})
	eachServer(t, test)
}

// eachServer runs a test on each store that is a server.
func eachServer(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Helper()
	run := func(kind string, open func(t testing.TB) *fleet) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
	run(testkit.KindPouchDB, pouchFleet)
	if _, _, _, ok := testkit.CouchDB(t); ok {
		run(testkit.KindCouchDB, couchFleet)
	}
}

func embeddedFleet(t testing.TB) *fleet {
	file := embedded.New(filepath.Join(t.TempDir(), "store.db"))
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Errorf("closing the embedded store: %v", err)
		}
	})
	store := couch.Wrap(testkit.KindEmbedded, file.Client())
	return &fleet{
		kind: testkit.KindEmbedded, clock: newClock(), peers: new(peers), store: store, client: file.Client(),
		line: func(testing.TB) (*couch.Cluster, *line) { return store, nil },
	}
}

// options are those of the next front door, to be changed before open.
func (f *fleet) options(t testing.TB) (lifecycle.Options, *door) {
	t.Helper()
	f.count++
	d := &door{name: "door-" + string(rune('a'+f.count%26)), dir: f.peers.join()}
	d.cluster, d.line = f.line(t)
	clusters, err := lifecycle.NewClusters(map[int]lifecycle.Member{0: {Cluster: d.cluster}})
	if err != nil {
		t.Fatal(err)
	}
	return lifecycle.Options{
		Clusters: clusters, Directory: d.dir, Node: d.name, Now: f.clock.now, Rand: seeded(f.count),
	}, d
}

// door opens a front door with the defaults.
func (f *fleet) door(t testing.TB) *door {
	t.Helper()
	o, d := f.options(t)
	d.Service = lifecycle.New(o)
	return d
}

// hangUp ends what the front door had to do with the store.
func (d *door) hangUp() {
	_ = d.cluster.Close() // once more when the test ends
	d.line.hangUp()
}

// seeded is randomness that a failing test meets again.
func seeded(n int) io.Reader {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n))
	return rand.NewChaCha8(seed)
}

// peers are the directories of a fleet. A front door hears at once of what it did
// itself, and of the others when a test says so.
type peers struct {
	mu  sync.Mutex
	all []*directory
}

func (p *peers) join() *directory {
	d := &directory{known: map[string]*tenancy.Instance{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, d)
	return d
}

// directory is a front door's view of the instances.
type directory struct {
	mu        sync.Mutex
	known     map[string]*tenancy.Instance
	removed   []string
	ambiguous map[string]string // by normal form: with whom

	quarantined map[string]time.Time
	loading     atomic.Bool
}

func (d *directory) Apply(inst *tenancy.Instance) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[inst.ID()] = inst.Clone()
	return true
}

func (d *directory) Remove(id, _ string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, id)
	d.removed = append(d.removed, id)
	return true
}

func (d *directory) Find(key string) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, inst := range d.known {
		for _, name := range inst.Names() {
			if k, ok := tenancy.HostKey(name); ok && k == key {
				return id, true
			}
		}
	}
	return "", false
}

func (d *directory) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.known)
}

func (d *directory) WithPrefix(prefix, _ string) (ids []string, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, inst := range d.known {
		if inst.Prefix() == prefix {
			ids = append(ids, id)
		}
	}
	return ids, d.Loaded()
}

func (d *directory) Loaded() bool { return !d.loading.Load() }

func (d *directory) Quarantine(key string, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.quarantined == nil {
		d.quarantined = map[string]time.Time{}
	}
	d.quarantined[key] = until
}

func (d *directory) Ambiguous(name tenancy.Domain) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	with, ok := d.ambiguous[name.Key()]
	return with, ok
}

var _ lifecycle.Directory = (*directory)(nil)
