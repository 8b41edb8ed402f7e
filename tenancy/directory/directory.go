// Directory: the one that is served, how changes come in, and its start and end.

package directory

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Source is where the instances' documents are: a *couch.Cluster.
type Source interface {
	Changes(ctx context.Context, db string, feed couch.Feed, fn func(couch.Change) error) (last string, more bool, err error)
	Info(ctx context.Context, db string) (couch.Info, error)
}

// Options of a directory. The zero value is a directory without a store, which
// knows what Apply tells it.
type Options struct {
	// Cluster has the database that is followed; nil for none, and the directory
	// is ready at once then.
	Cluster Source
	// Database is the one with the instances. Default global/instances.
	Database string
	// Read gives a document as the store has it now. It is asked where the feed shows
	// an older revision than is known: a feed can rewind, but the older one is also
	// what is left when the newer one of two in conflict is deleted. A missing one is
	// couch.ErrNotFound. nil: what is known stays.
	Read func(ctx context.Context, id string) (json.RawMessage, error)
	// Claims has the database of claims, which is read for the names in quarantine;
	// nil for none.
	Claims Claims
	// ClaimsDatabase is its name. Default gatehouse/claims.
	ClaimsDatabase string
	// Ensure makes the database, and is called when there is none and nothing is
	// known of one. May be nil.
	Ensure func(context.Context) error
	// Snapshot is the path of the file that a restart begins from; empty for none.
	// Its folder is made when needed.
	Snapshot string
	// Identity names the cluster in the snapshot: one of another cluster is not
	// used.
	Identity string
	// SnapshotEvery is the least time between two snapshots. Default 10 s. It is
	// longer for a directory that takes long to write.
	SnapshotEvery time.Duration
	// Wait is how long the store may hold an answer when nothing changes. Default 10 s:
	// so late is a change at the most whose wake-up a CouchDB loses, which it can for
	// one that is made in the moment when a feed begins.
	Wait time.Duration
	// Logger gets each transition once. Default none.
	Logger *zap.Logger
	// Now is the clock of ages. Default time.Now.
	Now func() time.Time
	// Rand spreads back-offs, from 0 up to but not including 1; it is called by
	// one goroutine. Default rand.Float64.
	Rand func() float64
}

// Defaults of Options.
const (
	DefaultDatabase      = "global/instances"
	DefaultClaims        = "gatehouse/claims"
	DefaultWait          = 10 * time.Second
	DefaultSnapshotEvery = 10 * time.Second
)

// Directory finds instances by host. All its methods are safe for concurrent
// use. It is not to be copied.
type Directory struct {
	opts   Options
	log    *zap.Logger
	served atomic.Pointer[index] // what readers use; nil before it is ready
	ready  chan struct{}         // closed with the first index

	mu      sync.Mutex // held for one change at a time
	loading *index     // what is being read from the beginning; nil when done
	watch   map[int]func(old, new Entry)
	watches int
	at      position // up to where served has been read
	status  progress

	quarantined quarantines

	unsaved atomic.Bool
	dirty   chan struct{} // wakes the keeper of snapshots

	started sync.Once
	stopped sync.Once
	cancel  context.CancelFunc
	done    chan struct{}
}

// position is a place in the feed of one database.
type position struct {
	born  string
	since string
	known time.Time // when the index was last known to be what the store has
}

// New makes a directory, which does nothing by itself before Start.
func New(opts Options) *Directory {
	if opts.Database == "" {
		opts.Database = DefaultDatabase
	}
	if opts.ClaimsDatabase == "" {
		opts.ClaimsDatabase = DefaultClaims
	}
	if opts.Wait <= 0 {
		opts.Wait = DefaultWait
	}
	if opts.SnapshotEvery <= 0 {
		opts.SnapshotEvery = DefaultSnapshotEvery
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Rand == nil {
		opts.Rand = rand.Float64
	}
	d := &Directory{
		opts: opts, log: opts.Logger,
		ready: make(chan struct{}), done: make(chan struct{}), dirty: make(chan struct{}, 1),
		loading: newIndex(), watch: map[int]func(old, new Entry){},
	}
	if opts.Cluster == nil {
		d.mu.Lock()
		d.publish()
		d.status.state = Following
		d.mu.Unlock()
	}
	return d
}

// Start begins to load and to follow, and returns at once. Nothing can fail:
// what goes wrong is in Status and in the log, and is tried again. A second
// Start does nothing.
func (d *Directory) Start() {
	d.started.Do(func() {
		if d.opts.Cluster == nil {
			close(d.done)
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		d.cancel = cancel
		go d.run(ctx)
	})
}

// Stop ends following, and writes the snapshot if there is news. It returns when
// that is done, or with ctx's error when ctx ends before; the writing goes on
// then. The directory still answers from memory afterwards, and cannot be
// started again.
func (d *Directory) Stop(ctx context.Context) error {
	d.stopped.Do(func() {
		d.started.Do(func() { close(d.done) }) // never started
		if d.cancel != nil {
			d.cancel()
			return
		}
		d.mu.Lock()
		d.status.state = Stopped
		d.mu.Unlock()
	})
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is the life of a started directory: it follows here, and keeps snapshots
// in one more goroutine, and the names in quarantine in another.
func (d *Directory) run(ctx context.Context) {
	defer close(d.done)
	var beside sync.WaitGroup
	if d.opts.Snapshot != "" {
		beside.Go(func() { d.keepSnapshots(ctx) })
	}
	if d.opts.Claims != nil {
		beside.Go(func() { d.followClaims(ctx) })
	}
	d.follow(ctx)
	beside.Wait()
	d.mu.Lock()
	if d.status.state == Following { // even without changes: the file's age is news
		d.markUnsaved()
	}
	d.status.state = Stopped
	d.mu.Unlock()
	if d.opts.Snapshot != "" {
		d.saveIfNew()
	}
}

// Apply takes in a document that somebody read or wrote: the node that made a
// change calls it before it answers. A revision that is not newer than the known
// one, or than the removal, changes nothing, and neither does a document that
// cannot be read. changed tells.
func (d *Directory) Apply(doc *tenancy.Instance) (changed bool) { return d.applyDoc(doc, false) }

// Remove takes in the deletion of a document; rev is the revision of the
// deletion, or the last one before it.
func (d *Directory) Remove(id, rev string) (changed bool) { return d.remove(id, rev, false) }

// applyDoc is Apply. What the feed brings during a reload goes to the index that
// is being loaded alone; what is made here goes to both, so that it is served at
// once and not lost by the swap.
func (d *Directory) applyDoc(doc *tenancy.Instance, fromFeed bool) (changed bool) {
	f, err := factsOf(doc)
	if err != nil {
		d.unreadable(doc.ID(), doc.Rev(), err)
		return false
	}
	changed, err = d.change(fromFeed, func(x *index) (change, error) { return x.apply(f) })
	if err != nil {
		d.unreadable(f.id, f.rev, err)
	}
	return changed
}

func (d *Directory) remove(id, rev string, fromFeed bool) (changed bool) {
	changed, _ = d.change(fromFeed, func(x *index) (change, error) { return x.remove(id, rev), nil })
	return changed
}

// change makes one change to the indexes that it belongs to, and tells watchers.
// The only error is that an index is full, be it the one that is being loaded.
func (d *Directory) change(fromFeed bool, to func(*index) (change, error)) (changed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var c change
	if d.loading != nil {
		c, err = to(d.loading)
	}
	if x := d.served.Load(); x != nil && (d.loading == nil || !fromFeed) {
		var full error
		if c, full = to(x); err == nil {
			err = full
		}
		if c.made {
			d.status.changes++
			d.tell(c.old, c.new)
			d.markUnsaved()
		}
	}
	return c.made, err
}

// unreadable reports a revision that cannot be read, once. What was known of the
// document stays.
func (d *Directory) unreadable(id, rev string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	reported, stale := false, true
	for _, x := range []*index{d.served.Load(), d.loading} {
		if x == nil || x.knows(id, rev) {
			continue
		}
		stale = false
		reported = reported || x.malformed[id] == rev
		x.malformed[id] = rev
	}
	if !reported && !stale {
		d.log.Error("an instance's document cannot be read; what was known of it stays",
			zap.String("id", id), zap.String("rev", rev), zap.Error(err))
	}
}

// publish begins to serve the index that was being loaded. d.mu is held.
//
// A reload has two whole indexes in memory, from its begin until here: what is served
// has to stay what it was. The old one is free as soon as watchers know what has
// changed, for which each entry of either is looked for in the other. Changes wait
// meanwhile (BenchmarkReload says how long), and so do Status, Load, WithPrefix and
// Ambiguous; Decide, Resolve, ByID and All do not.
func (d *Directory) publish() {
	next, prev := d.loading, d.served.Load()
	d.loading = nil
	next.private = false
	if prev == nil {
		d.served.Store(next)
		close(d.ready)
		return
	}
	for id := range next.malformed { // its old entry stays, as with any change
		old, was := prev.byID(id)
		if _, is := next.byID(id); was != 0 && is == 0 {
			_, _ = next.put(old.facts()) // an index that is full by now has told of it
		}
	}
	d.served.Store(next)
	if len(d.watch) == 0 {
		return
	}
	for e := range next.all {
		if old, _ := prev.same(e); old.IsZero() || !old.sameRev(e) {
			d.tell(old, e)
		}
	}
	for e := range prev.all {
		if _, is := next.same(e); is == 0 {
			d.tell(e, Entry{})
		}
	}
}

func (d *Directory) tell(old, new Entry) {
	for _, fn := range d.watch {
		fn(old, new)
	}
}

// isDesign tells design documents from instances.
func isDesign(id string) bool { return strings.HasPrefix(id, "_design/") }

var _ Source = (*couch.Cluster)(nil)
