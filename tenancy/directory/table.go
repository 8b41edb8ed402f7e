// Tables: hash tables of entries that readers use without a lock, in shards
// small enough to be copied for each change.

package directory

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// table is one shard: open addressing with linear probing. A copy is a copy of
// memory, without rehashing. A published table is never written. The nil table
// is empty.
type table struct {
	slots []slot // a power of two of them
	used  int
}

// slot has all that a look-up compares or returns, in half a cache line: with a
// million hosts each access to one more line costs more than all the rest.
type slot struct {
	key   string // as the entry has it
	entry *Entry // nil in a free slot
	tag   uint32 // of the key's hash
	by    By     // as what the entry has the key
}

// minSlots is the smallest table, for directories of few instances.
const minSlots = 4

// tagOf is the part of a hash that a table uses; shards use other bits.
func tagOf(hash uint64) uint32 { return uint32(hash >> 32) }

// find is the slot of a key, or nil.
func (t *table) find(tag uint32, key []byte) *slot {
	if t == nil {
		return nil
	}
	mask := len(t.slots) - 1
	for i := int(tag) & mask; ; i = (i + 1) & mask {
		s := &t.slots[i&(len(t.slots)-1)]
		if s.entry == nil {
			return nil
		}
		if s.tag == tag && s.key == string(key) {
			return s
		}
	}
}

// with is the table with one more slot, or with the slot of this key replaced;
// without is the one without it. They change t itself where inPlace is true and
// its size fits.
func (t *table) with(s slot, inPlace bool) *table {
	replaced := t.find(s.tag, []byte(s.key))
	if replaced == nil {
		t = t.sized(1, inPlace)
		t.insert(s)
		return t
	}
	t = t.sized(0, inPlace)
	*t.find(s.tag, []byte(s.key)) = s
	return t
}

func (t *table) without(tag uint32, key string, inPlace bool) *table {
	if t.used == 1 {
		return nil
	}
	t = t.sized(-1, inPlace)
	mask := len(t.slots) - 1
	i := int(tag) & mask
	for t.slots[i].key != key {
		i = (i + 1) & mask
	}
	// What had to step over the slot moves back, so that no probe ends too early.
	for j := (i + 1) & mask; t.slots[j].entry != nil; j = (j + 1) & mask {
		home := int(t.slots[j].tag) & mask
		if (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
	t.used--
	return t
}

// sized is a table to write to, with room for so many more slots.
func (t *table) sized(more int, inPlace bool) *table {
	if t == nil {
		return &table{slots: make([]slot, minSlots)}
	}
	used := t.used + more
	size := max(minSlots, 1<<bits.Len(uint(used+used/3))) // at most 3/4 full
	if len(t.slots) < size || len(t.slots) > 2*size {
		out := &table{slots: make([]slot, size)}
		for _, s := range t.slots {
			if s.entry != nil {
				out.insert(s)
			}
		}
		return out
	}
	if inPlace {
		return t
	}
	return &table{slots: slices.Clone(t.slots), used: t.used}
}

func (t *table) insert(s slot) {
	mask := len(t.slots) - 1
	i := int(s.tag) & mask
	for t.slots[i].entry != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = s
	t.used++
}

// shards are the tables of one kind of key. Reading is safe at any time;
// writing is for one goroutine at a time.
type shards struct {
	tables [shardCount]atomic.Pointer[table]
	count  atomic.Int64
}

// shardCount keeps a shard near 1,000 entries in a directory of a million.
const shardCount = 1024

func (s *shards) find(hash uint64, key []byte) *slot {
	return s.tables[hash%shardCount].Load().find(tagOf(hash), key)
}

// put has a key lead to an entry, whatever it led to before.
func (s *shards) put(hash uint64, key string, by By, e *Entry, inPlace bool) {
	shard := &s.tables[hash%shardCount]
	before := shard.Load().size() // it may change in place
	after := shard.Load().with(slot{key: key, entry: e, tag: tagOf(hash), by: by}, inPlace)
	shard.Store(after)
	s.count.Add(int64(after.size() - before))
}

// delete takes out a key, which must be there.
func (s *shards) delete(hash uint64, key string, inPlace bool) {
	shard := &s.tables[hash%shardCount]
	shard.Store(shard.Load().without(tagOf(hash), key, inPlace))
	s.count.Add(-1)
}

func (t *table) size() int {
	if t == nil {
		return 0
	}
	return t.used
}

// all gives each slot's entry, in no order. Each shard is seen as it is when its
// turn comes.
func (s *shards) all(yield func(*Entry) bool) {
	for i := range s.tables {
		t := s.tables[i].Load()
		if t == nil {
			continue
		}
		for _, s := range t.slots {
			if s.entry != nil && !yield(s.entry) {
				return
			}
		}
	}
}
