// Index: hosts and documents' ids to entries, and how one change takes effect.

package directory

import (
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// index is one whole directory. Readers use hosts, ids, ported, losses and records at any
// time; all else is the writer's, who holds Directory.mu.
//
// A private index, which no reader has seen yet, is filled in place.
type index struct {
	seed    maphash.Seed // random: nobody can choose names that meet
	records arena
	hosts   shards       // by key, to the name in the record
	ids     shards       // by document id, to the record
	ported  atomic.Int64 // keys with a port; 0 saves each look-up half its work
	losses  atomic.Int64 // keys that nobody has any more, or only as an old domain; counted before they are lost
	private bool

	rivals    map[string]rivals // who has a key without being found by it
	load      map[int]int       // cluster → entries
	prefixes  map[uint32]uint32 // hashed prefix → entries that have it though their domain is another
	children  map[uint32]uint32 // hashed parent → hosts that a parent of that name would take
	dead      tombstones
	malformed map[string]string // document id → the revision that could not be read
	room      []byte            // for a record that is being made
}

func newIndex() *index {
	x := &index{
		seed: maphash.MakeSeed(), private: true,
		rivals: map[string]rivals{}, load: map[int]int{}, prefixes: map[uint32]uint32{}, children: map[uint32]uint32{}, malformed: map[string]string{},
	}
	x.records.init()
	x.hosts.hash = func(r ref) uint64 { return maphash.Bytes(x.seed, x.nameAt(r).text) }
	x.ids.hash = func(r ref) uint64 { return x.idHash(x.records.entry(r)) }
	return x
}

// nameAt is the name at a place, for the writer.
func (x *index) nameAt(r ref) name {
	return nameAt(x.records.chunks[r.chunk()].Load().buf[r.offset():])
}

// finding is what a key leads to. It fits into registers.
type finding struct {
	at    *chunk
	place ref    // the name's
	word  uint32 // that begins the name
}

func (f finding) by() By { return byOf(f.word) }

func (f finding) state() tenancy.State { return stateOf(f.word) }

func (f finding) entry() Entry { return Entry{at: f.at, offset: f.place.offset() - backOf(f.word)} }

func (f finding) key() string {
	start := f.place.offset() + unit
	return textOf(f.at.buf[start : start+lengthOf(f.word)])
}

// find is what has the key; the zero value is nothing. It takes no lock and
// allocates nothing.
//
// A reference is to a place, which another record may have by the time that a reader
// gets there: while a table is served, all that it refers to is in its place, and a
// chunk is given up only after the last table that refers to it was replaced. So the
// table is looked at once more after the chunk was fetched, and before it is read. If
// it is still the same one (which it cannot be again once it was replaced, as long as
// this reader has it), the chunk was the right one, and what is in it never changes.
func (x *index) find(key []byte) finding {
	hash := maphash.Bytes(x.seed, key)
	shard, tag := x.hosts.of(hash), tagOf(hash)
again:
	t := shard.Load()
	if t == nil {
		return finding{}
	}
	groups := groupsOf(t)
	for at := placeIn(len(groups), hash); ; {
		g := &groups[at]
		for m := g.match(tag); m != 0; {
			var i int
			i, m = m.next()
			place := g.refs[i]
			c := x.records.chunks[place.chunk()].Load()
			if shard.Load() != t {
				goto again
			}
			b := c.buf[place.offset():]
			word := binary.LittleEndian.Uint32(b)
			if n := int(lengthOf(word)); n == len(key) && string(b[unit:unit+n]) == string(key) {
				return finding{at: c, place: place, word: word}
			}
		}
		if g.hasFree() {
			return finding{}
		}
		if at++; at == len(groups) {
			at = 0
		}
	}
}

func (x *index) idHash(e Entry) uint64 {
	r := e.fields()
	return maphash.Bytes(x.seed, r.id())
}

// byID is the entry of a document, and its place; the zero values for none. It is as
// safe as find, and for the same reason.
func (x *index) byID(id string) (Entry, ref) {
	var room [2 * packedSize]byte
	return x.byIdentity(identify(room[:0], id))
}

func (x *index) byIdentity(want identity) (Entry, ref) {
	hash := maphash.Bytes(x.seed, want.text)
	shard, tag := x.ids.of(hash), tagOf(hash)
again:
	t := shard.Load()
	if t == nil {
		return Entry{}, 0
	}
	groups := groupsOf(t)
	for at := placeIn(len(groups), hash); ; {
		g := &groups[at]
		for m := g.match(tag); m != 0; {
			var i int
			i, m = m.next()
			place := g.refs[i]
			e := x.records.entry(place)
			if shard.Load() != t {
				goto again
			}
			if e.isOf(want) {
				return e, place
			}
		}
		if g.hasFree() {
			return Entry{}, 0
		}
		if at++; at == len(groups) {
			at = 0
		}
	}
}

// same is the entry of a document that another entry, perhaps of another index, is of.
func (x *index) same(e Entry) (Entry, ref) {
	r := e.fields()
	return x.byIdentity(identity{r.id(), r.has(hexID)})
}

// all gives each entry, in no order. Each shard is seen as it is when its turn comes.
func (x *index) all(yield func(Entry) bool) {
	var entries []Entry
	for i := range x.ids.served {
		entries = x.shard(&x.ids.served[i], entries[:0])
		for _, e := range entries {
			if !yield(e) {
				return
			}
		}
	}
}

// shard appends the entries of a shard, all of one moment.
func (x *index) shard(shard *served, out []Entry) []Entry {
	start := len(out)
	for {
		t := shard.Load()
		if t == nil {
			return out
		}
		for r := range refs(groupsOf(t)) {
			out = append(out, x.records.entry(r))
		}
		if shard.Load() == t {
			return out
		}
		out = out[:start]
	}
}

// knows tells whether a revision of a document is not newer than what the index
// has of it, so that there is nothing to do.
func (x *index) knows(id, rev string) bool {
	if e, r := x.byID(id); r != 0 {
		return compareRevs(rev, e.Rev()) <= 0
	}
	return x.dead.covers(id, rev)
}

// older tells whether the index has a live entry of a newer revision.
func (x *index) older(id, rev string) bool {
	e, r := x.byID(id)
	return r != 0 && compareRevs(rev, e.Rev()) < 0
}

// change is what became of one document. old and new are zero where there is none.
type change struct {
	old, new Entry
	made     bool
}

// apply takes facts in, unless they are known already.
func (x *index) apply(f *facts) (change, error) {
	if x.knows(f.id, f.rev) {
		return change{}, nil
	}
	return x.put(f)
}

// put takes facts in, whatever is known.
func (x *index) put(f *facts) (change, error) {
	x.room = f.write(x.room[:0], x.records.texts)
	_, old := x.byID(f.id)
	place, err := x.records.add(x.room)
	if err != nil {
		return change{}, err
	}
	x.dead.lift(f.id)
	x.readable(f.id, f.rev)
	return x.replace(f.id, old, place), nil
}

// remove takes a document's entry out, unless a newer revision is known, and
// remembers the removal in any case.
func (x *index) remove(id, rev string) change {
	old, place := x.byID(id)
	if place != 0 && compareRevs(rev, old.Rev()) < 0 || x.dead.covers(id, rev) {
		return change{}
	}
	x.dead.lay(id, rev)
	delete(x.malformed, id)
	if place == 0 {
		return change{}
	}
	return x.replace(id, place, 0)
}

// forget takes a document's entry out, with what is known of its revisions.
func (x *index) forget(id string) change {
	_, place := x.byID(id)
	x.dead.lift(id)
	delete(x.malformed, id)
	if place == 0 {
		return change{}
	}
	return x.replace(id, place, 0)
}

// readable forgets that an older revision could not be read.
func (x *index) readable(id, rev string) {
	if bad, ok := x.malformed[id]; ok && compareRevs(rev, bad) > 0 {
		delete(x.malformed, id)
	}
}

// replace changes the entry of one document; old or new may be 0. A host that
// both have is never without an entry for a reader.
func (x *index) replace(id string, old, new ref) change {
	c := change{old: x.records.entry(old), new: x.records.entry(new), made: true}
	if new != 0 {
		x.load[c.new.Cluster()]++
		x.countPrefix(c.new, 1)
		x.ids.put(x.idHash(c.new), old, new, x.private)
		for n, offset := range c.new.places {
			x.count(n, 1) // before a reader can need it
			x.claim(n.text, id, n.by, refTo(new.chunk(), offset))
		}
	}
	if old != 0 {
		cluster := c.old.Cluster()
		x.countPrefix(c.old, -1)
		if x.load[cluster]--; x.load[cluster] == 0 {
			delete(x.load, cluster)
		}
		if new == 0 {
			x.ids.delete(x.idHash(c.old), old, x.private)
		}
		for n, offset := range c.old.places {
			// A key that the new one has leads to it by now, or to a rival.
			if x.hosts.holds(maphash.Bytes(x.seed, n.text), refTo(old.chunk(), offset)) ||
				len(x.rivals[string(n.text)]) > 0 && c.new.named(n.text) == 0 {
				x.claim(n.text, id, n.by, 0)
			}
			x.count(n, -1)
		}
		x.records.drop(old)
	}
	x.tidy()
	return c
}

// count keeps the numbers that spare look-ups and scans.
func (x *index) count(n name, by int) {
	text, port := splitPort(textOf(n.text))
	if port != "" {
		x.ported.Add(int64(by))
	}
	if n.by == ByOldDomain {
		return
	}
	for _, mode := range []Mode{Nested, Flat} {
		var room [tenancy.MaxHostLength]byte
		parent, _, _, ok := mode.cut(room[:0], n.text[:len(text)], len(text))
		if !ok {
			continue
		}
		hash := x.childHash(parent, mode)
		if left := x.children[hash] + uint32(by); left > 0 {
			x.children[hash] = left
		} else {
			delete(x.children, hash)
		}
	}
}

// childHash keys children: two parents with one hash cost a scan that finds
// nothing, and a string for each parent is saved.
func (x *index) childHash(parent []byte, mode Mode) uint32 {
	return uint32(maphash.Bytes(x.seed, parent)) ^ uint32(mode)
}
