// Tables: hash tables of references that readers use without a lock, in shards
// small enough to be copied for each change.

package directory

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
	"sync/atomic"
	"unsafe"
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

// match has a bit set for each slot where the tag may be. What is not the tag is ruled
// out by whoever compares names. The bits are those of matches.
func (g *group) match(tag byte) matches {
	pattern := everyByte * uint64(tag)
	low := binary.LittleEndian.Uint64(g.tags[:8]) ^ pattern
	high := uint64(binary.LittleEndian.Uint32(g.tags[8:12])) ^ pattern // never the upper half, as a tag is not 0
	low = (low - everyByte) &^ low & (everyByte << 7)
	high = (high - everyByte) &^ high & (everyByte << 7)
	return matches(low>>7 | high>>6)
}

// matches are slots of a group: bit 8i is slot i, and bit 8i+1 is slot 8+i. One word for
// all spares a branch that nobody can foretell.
type matches uint64

// next takes one out. There must be one.
func (m matches) next() (slot int, rest matches) {
	bit := bits.TrailingZeros64(uint64(m))
	return bit>>3 | bit&1<<3, m & (m - 1)
}

// hasFree tells whether a probe ends here.
func (g *group) hasFree() bool {
	low := binary.LittleEndian.Uint64(g.tags[:8])
	high := uint64(binary.LittleEndian.Uint32(g.tags[8:12])) | everyByte&^(1<<32-1)
	return ((low-everyByte)&^low|(high-everyByte)&^high)&(everyByte<<7) != 0
}

// table is one shard, as its writer sees it. The zero value is empty. The groups of a
// published table are never written.
type table struct {
	groups []group
	counts
}

// counts are what only a writer needs of a table.
type counts struct {
	used uint32 // slots with a reference
	was  uint32 // slots that were freed in full groups
}

// served is one shard as readers see it: a pointer into the groups of a table, whose
// distance in bytes from the first one says how many there are. So a reader finds
// the only group that it mostly needs without reading anything before, which in a large
// directory is a third of a look-up's time. nil is empty.
type served = atomic.Pointer[byte]

const groupBytes = int(unsafe.Sizeof(group{}))

// groupCounts are the sizes that a table may have. The last is more than all references
// can fill that there are, with names of 12 letters at the least.
var groupCounts = func() (counts [groupBytes]int) {
	for i, n := 0, 1; i < len(counts); i++ {
		counts[i] = n
		n += max(1, n/6)
	}
	return counts
}()

// serve is what readers get of groups that are as makeGroups makes them.
func serve(groups []group) *byte {
	if groups == nil {
		return nil
	}
	kind, _ := slices.BinarySearch(groupCounts[:], len(groups))
	return (*byte)(unsafe.Add(unsafe.Pointer(&groups[0]), kind))
}

// groupsOf is what was served; it must not be nil.
func groupsOf(t *byte) []group {
	kind := uintptr(unsafe.Pointer(t)) % uintptr(groupBytes)
	return unsafe.Slice((*group)(unsafe.Add(unsafe.Pointer(t), -int(kind))), groupCounts[kind])
}

// makeGroups makes n at the least, and as many as groupCounts has, each on a cache line
// of its own.
func makeGroups(n int) []group {
	kind, _ := slices.BinarySearch(groupCounts[:], n)
	n = groupCounts[kind]
	room := make([]byte, (n+1)*groupBytes)
	at := -uintptr(unsafe.Pointer(&room[0])) % uintptr(groupBytes)
	return unsafe.Slice((*group)(unsafe.Pointer(&room[at])), n)
}

// placeIn is where a key of a hash begins its way through n groups: shards use other
// bits of it.
func placeIn(n int, hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(n))
	return int(high)
}

func (t *table) place(hash uint64) int { return placeIn(len(t.groups), hash) }

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

// put has a reference take the place of another, or be one more where before is 0.
// delete takes one out. They write to t's groups where inPlace is true, and to a copy
// otherwise. hash tells the hash of what a reference is to.
func (t *table) put(key uint64, before, r ref, inPlace bool, hash func(ref) uint64) {
	if before != 0 {
		t.own(inPlace)
		g, i := t.slot(key, before)
		g.refs[i] = r
		return
	}
	if int(t.used+t.was+1)*6 > len(t.groups)*groupSize*5 { // at most 5/6 are in use
		t.rebuild(int(t.used)+1, hash)
	} else {
		t.own(inPlace)
	}
	t.insert(key, r)
}

func (t *table) delete(key uint64, r ref, inPlace bool, hash func(ref) uint64) {
	if t.used == 1 {
		*t = table{}
		return
	}
	t.own(inPlace)
	g, i := t.slot(key, r)
	free := g.hasFree()
	g.tags[i], g.refs[i] = noRef, 0
	if !free {
		g.tags[i] = wasRef
		t.was++
	}
	t.used--
	if len(t.groups) > 1 && int(t.used) < len(t.groups)*groupSize/4 {
		t.rebuild(int(t.used), hash)
	}
}

func (t *table) own(already bool) {
	if already {
		return
	}
	groups := makeGroups(len(t.groups))
	copy(groups, t.groups)
	t.groups = groups
}

// emptyTable has at most 2/3 of its slots for n, and one group at least.
func emptyTable(n int) table {
	return table{groups: makeGroups((n*3 + 2*groupSize - 1) / (2 * groupSize))}
}

// rebuild has new groups for n slots, with all that there is.
func (t *table) rebuild(n int, hash func(ref) uint64) {
	out := emptyTable(n)
	for r := range refs(t.groups) {
		out.insert(hash(r), r)
	}
	*t = out
}

// refs gives each reference.
func refs(groups []group) iter.Seq[ref] {
	return func(yield func(ref) bool) {
		for i := range groups {
			g := &groups[i]
			for j := range groupSize {
				if g.tags[j] >= firstTag && !yield(g.refs[j]) {
					return
				}
			}
		}
	}
}

// shards are the tables of one kind of key. Reading is safe at any time;
// writing is for one goroutine at a time.
type shards struct {
	served [shardCount]served
	counts [shardCount]counts // the writer's
	count  atomic.Int64
	hash   func(ref) uint64 // of the key at a place
}

// shardCount keeps a shard near 500 names, and its copy near 4 KB, in a directory of
// two million.
const (
	shardBits  = 12
	shardCount = 1 << shardBits
)

func (s *shards) of(hash uint64) *served { return &s.served[hash%shardCount] }

// table is the one for a hash, for the writer.
func (s *shards) table(hash uint64) table {
	t := table{counts: s.counts[hash%shardCount]}
	if at := s.of(hash).Load(); at != nil {
		t.groups = groupsOf(at)
	}
	return t
}

// publish has t be the table for a hash.
func (s *shards) publish(hash uint64, t table) {
	s.counts[hash%shardCount] = t.counts
	s.of(hash).Store(serve(t.groups))
}

// put has a key lead to a place, where it has led to another before, or to none.
func (s *shards) put(hash uint64, before, r ref, inPlace bool) {
	t := s.table(hash)
	t.put(hash, before, r, inPlace, s.hash)
	s.publish(hash, t)
	if before == 0 {
		s.count.Add(1)
	}
}

// delete takes out a key, which must lead to r.
func (s *shards) delete(hash uint64, r ref, inPlace bool) {
	t := s.table(hash)
	t.delete(hash, r, inPlace, s.hash)
	s.publish(hash, t)
	s.count.Add(-1)
}

// holds tells whether a key leads to r. It is the writer's.
func (s *shards) holds(hash uint64, r ref) bool {
	t := s.table(hash)
	if t.groups == nil {
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
