// Index: hosts and documents' ids to entries, and how one change takes effect.

package directory

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
)

// index is one whole directory. Readers use hosts, ids and ported at any time;
// all else is the writer's, who holds Directory.mu.
//
// A private index, which no reader has seen yet, is filled in place: copying
// shards for each of a million documents would take minutes.
type index struct {
	seed    maphash.Seed
	hosts   shards       // by key
	ids     shards       // by document id
	ported  atomic.Int64 // keys with a port; 0 saves each look-up half its work
	private bool

	rivals    map[string][]*Entry // entries that have a key without being found by it
	load      map[int]int         // cluster → entries
	children  map[uint64]int32    // hashed parent → hosts that a parent of that name would take
	dead      tombstones
	malformed map[string]string // document id → the revision that could not be read
}

func newIndex() *index {
	return &index{
		seed: maphash.MakeSeed(), private: true,
		rivals: map[string][]*Entry{}, children: map[uint64]int32{}, load: map[int]int{}, malformed: map[string]string{},
	}
}

// find is the entry that has the key, and as what.
func (x *index) find(key []byte) (*Entry, By, string) {
	s := x.hosts.find(maphash.Bytes(x.seed, key), key)
	if s == nil {
		return nil, 0, ""
	}
	return s.entry, s.by, s.key
}

// byID is the entry of a document, or nil.
func (x *index) byID(id string) *Entry {
	s := x.ids.find(maphash.String(x.seed, id), []byte(id))
	if s == nil {
		return nil
	}
	return s.entry
}

// knows tells whether a revision of a document is not newer than what the index
// has of it, so that there is nothing to do.
func (x *index) knows(id, rev string) bool {
	if e := x.byID(id); e != nil {
		return compareRevs(rev, e.Rev) <= 0
	}
	return x.dead.covers(id, rev)
}

// older tells whether the index has a live entry of a newer revision.
func (x *index) older(id, rev string) bool {
	e := x.byID(id)
	return e != nil && compareRevs(rev, e.Rev) < 0
}

// apply takes an entry in, unless it is known already. old is what it replaces.
func (x *index) apply(e *Entry) (old *Entry, changed bool) {
	if x.knows(e.ID, e.Rev) {
		return nil, false
	}
	old = x.byID(e.ID)
	x.dead.lift(e.ID)
	x.readable(e.ID, e.Rev)
	x.replace(old, e)
	return old, true
}

// remove takes a document's entry out, unless a newer revision is known, and
// remembers the removal in any case. old is what was there.
func (x *index) remove(id, rev string) (old *Entry, changed bool) {
	old = x.byID(id)
	if old != nil && compareRevs(rev, old.Rev) < 0 || x.dead.covers(id, rev) {
		return nil, false
	}
	x.dead.lay(id, rev)
	x.readable(id, rev)
	if old == nil {
		return nil, false
	}
	x.replace(old, nil)
	return old, true
}

// readable forgets that an older revision could not be read.
func (x *index) readable(id, rev string) {
	if bad, ok := x.malformed[id]; ok && compareRevs(rev, bad) > 0 {
		delete(x.malformed, id)
	}
}

// replace changes the entry of one document; old or new may be nil. A host that
// both have is never without an entry for a reader.
func (x *index) replace(old, new *Entry) {
	if new != nil {
		x.load[new.Cluster]++
		x.ids.put(maphash.String(x.seed, new.ID), new.ID, 0, new, x.private)
		new.names(func(key string, by By) {
			x.count(key, by, 1) // before a reader can need it
			x.claim(key, old, new)
		})
	}
	if old != nil {
		x.load[old.Cluster]--
		if new == nil {
			x.ids.delete(maphash.String(x.seed, old.ID), old.ID, x.private)
		}
		old.names(func(key string, by By) {
			if new == nil || !has(new, key) {
				x.claim(key, old, nil)
			}
			x.count(key, by, -1)
		})
	}
}

func has(e *Entry, key string) bool {
	by, _ := e.named([]byte(key))
	return by != 0
}

// claim decides anew who is found by a key, after old has gone and new has come;
// either may be nil, or have never had the key.
func (x *index) claim(key string, old, new *Entry) {
	bytes := []byte(key)
	holder, _, _ := x.find(bytes)
	winner := new
	if holder != nil && holder != old {
		if winner == nil || holder.before(winner, bytes) {
			winner = holder
		}
	}
	rivals := x.rivals[key] // mostly none
	for _, rival := range rivals {
		if rival != old && (winner == nil || rival.before(winner, bytes)) {
			winner = rival
		}
	}
	if len(rivals) > 0 || (holder != nil && holder != old && new != nil) {
		left := slices.DeleteFunc(append(slices.Clone(rivals), holder, new), func(e *Entry) bool {
			return e == nil || e == old || e == winner
		})
		if len(left) > 0 {
			x.rivals[key] = left
		} else {
			delete(x.rivals, key)
		}
	}
	switch hash := maphash.Bytes(x.seed, bytes); {
	case winner == holder:
	case winner == nil:
		x.hosts.delete(hash, key, x.private)
	default:
		by, own := winner.named(bytes)
		x.hosts.put(hash, own, by, winner, x.private)
	}
}

// count keeps the numbers that spare look-ups and scans.
func (x *index) count(key string, by By, n int32) {
	name, port := splitPort(key)
	if port != "" {
		x.ported.Add(int64(n))
	}
	if by == ByOldDomain {
		return
	}
	for _, mode := range []Mode{Nested, Flat} {
		parent, _, _, ok := mode.cut(nil, []byte(name), len(name))
		if !ok {
			continue
		}
		hash := x.childHash(parent, mode)
		if left := x.children[hash] + n; left > 0 {
			x.children[hash] = left
		} else {
			delete(x.children, hash)
		}
	}
}

// childHash keys children: two parents with one hash cost a scan that finds
// nothing, and a string for each parent is saved.
func (x *index) childHash(parent []byte, mode Mode) uint64 {
	return maphash.Bytes(x.seed, parent) ^ uint64(mode)
}
