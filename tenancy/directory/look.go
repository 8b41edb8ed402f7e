// Look: what a directory knows, for who looks at all of it or waits for it.

package directory

import (
	"iter"
)

// Subscribe has fn called for each change to what is served, in order and after
// it is served: old is none for a new instance, new is none for one that is gone.
// The first index is no change; All and Ready tell of it. The directory's writers
// wait meanwhile (readers do not), so fn must be quick. It must not wait for what waits
// for it: Apply, Remove, Subscribe, a cancel, Stop, Status, Load, WithPrefix, Ambiguous.
// No call begins after cancel has returned.
func (d *Directory) Subscribe(fn func(old, new Entry)) (cancel func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watches++
	number := d.watches
	d.watch[number] = fn
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watch, number)
	}
}

// Ready is closed as soon as there is a whole directory to serve from.
func (d *Directory) Ready() <-chan struct{} { return d.ready }

// Loaded tells whether there is.
func (d *Directory) Loaded() bool { return d.served.Load() != nil }

// ByID is the entry of a document. It takes no lock.
func (d *Directory) ByID(id string) (Entry, bool) {
	x := d.served.Load()
	if x == nil {
		return Entry{}, false
	}
	e, _ := x.byID(id)
	return e, !e.IsZero()
}

// All gives each instance once, in no order, without a lock; changes made
// meanwhile may be seen or not.
func (d *Directory) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		if x := d.served.Load(); x != nil {
			x.all(yield)
		}
	}
}

// Len is the number of instances that are served.
func (d *Directory) Len() int {
	if x := d.served.Load(); x != nil {
		return int(x.ids.count.Load())
	}
	return 0
}

// Load is the number of instances whose databases are on a cluster.
func (d *Directory) Load(cluster int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if x := d.served.Load(); x != nil {
		return x.load[cluster]
	}
	return 0
}

// Hosts is the number of names that are found: domains, aliases and old domains.
func (d *Directory) Hosts() int {
	if x := d.served.Load(); x != nil {
		return int(x.hosts.count.Load())
	}
	return 0
}
