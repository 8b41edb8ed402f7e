// Tables: hash tables of references that readers use without a lock, in shards
// small enough to be copied for each change.

package directory

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync/atomic"
)

// groupSize is how many slots are in a group.
const groupSize = 12

// group is a cache line, all that a look-up reads of a table mostly. A tag is some
// bits of a hash, which spare the look at the names of others; it is noRef where a
// slot is free, and wasRef where one was freed in a group that has been full, so that
// a probe goes on.
type group struct {
	tags [16]byte // those beyond groupSize are not used
	refs [groupSize]ref
}

const (
	noRef = iota
	wasRef
	firstTag
)

const everyByte = 0x0101010101010101

// match has the highest bit set of each byte of two words where the tag may be. What
// is not the tag is ruled out by whoever compares names.
func (g *group) match(tag byte) (low, high uint64) {
	pattern := everyByte * uint64(tag)
	low = binary.LittleEndian.Uint64(g.tags[:8]) ^ pattern
	high = uint64(binary.LittleEndian.Uint32(g.tags[8:12])) ^ pattern // never the upper half, as a tag is not 0
	return (low - everyByte) &^ low & (everyByte << 7), (high - everyByte) &^ high & (everyByte << 7)
}

// next takes the lowest match from what group.match found.
func next(low, high uint64) (slot int, restLow, restHigh uint64) {
	if low != 0 {
		return bits.TrailingZeros64(low) / 8, low & (low - 1), high
	}
	return 8 + bits.TrailingZeros64(high)/8, 0, high & (high - 1)
}

// hasFree tells whether a probe ends here.
func (g *group) hasFree() bool {
	low := binary.LittleEndian.Uint64(g.tags[:8])
	high := uint64(binary.LittleEndian.Uint32(g.tags[8:12])) | everyByte&^(1<<32-1)
	return ((low-everyByte)&^low|(high-everyByte)&^high)&(everyByte<<7) != 0
}

// table is one shard. A published table is never written. The nil table is empty.
type table struct {
	groups []group
	used   int // slots with a reference
	was    int // slots that were freed in full groups
}

// place is where a key of a hash begins its way: shards use other bits of it.
func (t *table) place(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(len(t.groups)))
	return int(high)
}

// tagOf is never one of the marks.
func tagOf(hash uint64) byte { return max(byte(hash>>shardBits), firstTag) }

// slot finds a reference that is there.
func (t *table) slot(hash uint64, r ref) (*group, int) {
	for at := t.place(hash); ; at = (at + 1) % len(t.groups) {
		g := &t.groups[at]
		for i := range groupSize {
			if g.refs[i] == r && g.tags[i] >= firstTag {
				return g, i
			}
		}
	}
}

// insert puts a reference into the first slot that is not taken. There must be one.
func (t *table) insert(hash uint64, r ref) {
	for at := t.place(hash); ; at = (at + 1) % len(t.groups) {
		g := &t.groups[at]
		for i := range groupSize {
			if g.tags[i] >= firstTag {
				continue
			}
			if g.tags[i] == wasRef {
				t.was--
			}
			g.tags[i], g.refs[i] = tagOf(hash), r
			t.used++
			return
		}
	}
}

// with is the table with a reference in the place of another, or with one more where
// before is 0; without is the one without it. They change t itself where inPlace is
// true and its size fits. hash tells the hash of what a reference is to.
func (t *table) with(key uint64, before, r ref, inPlace bool, hash func(ref) uint64) *table {
	if before != 0 {
		t = t.copied(inPlace)
		g, i := t.slot(key, before)
		g.refs[i] = r
		return t
	}
	t = t.sized(1, inPlace, hash)
	t.insert(key, r)
	return t
}

func (t *table) without(key uint64, r ref, inPlace bool, hash func(ref) uint64) *table {
	if t.used == 1 {
		return nil
	}
	t = t.copied(inPlace)
	g, i := t.slot(key, r)
	free := g.hasFree()
	g.tags[i], g.refs[i] = noRef, 0
	if !free {
		g.tags[i] = wasRef
		t.was++
	}
	t.used--
	if len(t.groups) > 1 && t.used < len(t.groups)*groupSize/4 {
		return t.rebuilt(t.used, hash)
	}
	return t
}

func (t *table) copied(inPlace bool) *table {
	if inPlace {
		return t
	}
	return &table{groups: slices.Clone(t.groups), used: t.used, was: t.was}
}

// sized is a table to write to, with room for so many more slots: at most 5/6 are in
// use, and 2/3 after it has grown.
func (t *table) sized(more int, inPlace bool, hash func(ref) uint64) *table {
	if t == nil {
		return emptyTable(more)
	}
	if (t.used+t.was+more)*6 > len(t.groups)*groupSize*5 {
		return t.rebuilt(t.used+more, hash)
	}
	return t.copied(inPlace)
}

// emptyTable has 2/3 of its slots for n, and one group at least. A table for very few
// is full before it grows.
func emptyTable(n int) *table {
	return &table{groups: make([]group, (n*3+2*groupSize-1)/(2*groupSize))}
}

// rebuilt is a table for n slots with what t has.
func (t *table) rebuilt(n int, hash func(ref) uint64) *table {
	out := emptyTable(n)
	for r := range t.refs {
		out.insert(hash(r), r)
	}
	return out
}

// refs gives each reference.
func (t *table) refs(yield func(ref) bool) {
	if t == nil {
		return
	}
	for i := range t.groups {
		g := &t.groups[i]
		for j := range groupSize {
			if g.tags[j] >= firstTag && !yield(g.refs[j]) {
				return
			}
		}
	}
}

// shards are the tables of one kind of key. Reading is safe at any time;
// writing is for one goroutine at a time.
type shards struct {
	tables [shardCount]atomic.Pointer[table]
	count  atomic.Int64
	hash   func(ref) uint64 // of the key at a place
}

// shardCount keeps a shard near 500 names, and its copy near 4 KB, in a directory of
// two million.
const (
	shardBits  = 12
	shardCount = 1 << shardBits
)

func (s *shards) of(hash uint64) *atomic.Pointer[table] { return &s.tables[hash%shardCount] }

// put has a key lead to a place, where it has led to another before, or to none.
func (s *shards) put(hash uint64, before, r ref, inPlace bool) {
	shard := s.of(hash)
	shard.Store(shard.Load().with(hash, before, r, inPlace, s.hash))
	if before == 0 {
		s.count.Add(1)
	}
}

// delete takes out a key, which must lead to r.
func (s *shards) delete(hash uint64, r ref, inPlace bool) {
	shard := s.of(hash)
	shard.Store(shard.Load().without(hash, r, inPlace, s.hash))
	s.count.Add(-1)
}

// holds tells whether a key leads to r. It is the writer's.
func (s *shards) holds(hash uint64, r ref) bool {
	t := s.of(hash).Load()
	if t == nil {
		return false
	}
	for at, n := t.place(hash), 0; n < len(t.groups); at, n = (at+1)%len(t.groups), n+1 {
		g := &t.groups[at]
		for i := range groupSize {
			if g.refs[i] == r && g.tags[i] >= firstTag {
				return true
			}
		}
		if g.hasFree() {
			return false
		}
	}
	return false
}
