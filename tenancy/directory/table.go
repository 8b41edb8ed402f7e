// Tables: hash tables of entries that readers use without a lock, in shards
// small enough to be copied for each change.

package directory

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// table is one shard: open addressing with linear probing. A slot is a tag, 31
// bits of the key's hash, and the entry; the key itself stands in the entry, so
// a slot costs 12 bytes, and a copy is two copies of memory without rehashing.
// A published table is never written. The nil table is empty.
type table struct {
	tags    []uint32 // 0 for a free slot; a power of two of them
	entries []*Entry
	used    int
}

// minSlots is the smallest table, for directories of few instances.
const minSlots = 4

// tagOf is a hash's part that a table uses; shardOf uses other bits.
func tagOf(hash uint64) uint32 { return uint32(hash>>32) | 1<<31 }

// next is the first slot with the tag, from slot i on (any number, for the
// first call the tag itself), or -1. The caller looks whether the entry there is
// meant, and goes on from the slot after it.
func (t *table) next(tag uint32, i int) int {
	if t == nil {
		return -1
	}
	mask := len(t.tags) - 1
	for i &= mask; t.tags[i] != 0; i = (i + 1) & mask {
		if t.tags[i] == tag {
			return i
		}
	}
	return -1
}

// with is the table with old replaced by new under the tag; a nil old adds, a
// nil new removes. It changes t itself where inPlace is true and there is room.
func (t *table) with(tag uint32, old, new *Entry, inPlace bool) *table {
	used := 0
	if t != nil {
		used = t.used
	}
	if old == nil {
		used++
	}
	if new == nil {
		used--
	}
	if used == 0 {
		return nil
	}
	slots := max(minSlots, 1<<bits.Len(uint(used+used/3))) // at most 3/4 full
	switch {
	case t == nil || len(t.tags) < slots || len(t.tags) > 2*slots:
		t = t.resized(slots)
	case !inPlace:
		t = &table{tags: slices.Clone(t.tags), entries: slices.Clone(t.entries), used: t.used}
	}
	switch {
	case old == nil:
		t.insert(tag, new)
	case new == nil:
		t.remove(t.slot(tag, old))
	default:
		t.entries[t.slot(tag, old)] = new
	}
	return t
}

func (t *table) resized(slots int) *table {
	out := &table{tags: make([]uint32, slots), entries: make([]*Entry, slots)}
	if t != nil {
		for i, tag := range t.tags {
			if tag != 0 {
				out.insert(tag, t.entries[i])
			}
		}
	}
	return out
}

func (t *table) insert(tag uint32, e *Entry) {
	mask := len(t.tags) - 1
	i := int(tag) & mask
	for t.tags[i] != 0 {
		i = (i + 1) & mask
	}
	t.tags[i], t.entries[i] = tag, e
	t.used++
}

// slot is where the entry stands under the tag; it must be there.
func (t *table) slot(tag uint32, e *Entry) int {
	i := t.next(tag, int(tag))
	for t.entries[i] != e {
		i = t.next(tag, i+1)
	}
	return i
}

// remove frees a slot and moves back what had to step over it, so that no probe
// ends too early.
func (t *table) remove(i int) {
	mask := len(t.tags) - 1
	for j := (i + 1) & mask; t.tags[j] != 0; j = (j + 1) & mask {
		home := int(t.tags[j]) & mask
		if (j-home)&mask >= (j-i)&mask {
			t.tags[i], t.entries[i] = t.tags[j], t.entries[j]
			i = j
		}
	}
	t.tags[i], t.entries[i] = 0, nil
	t.used--
}

// shards are the tables of one kind of key. Reading is safe at any time;
// writing is for one goroutine at a time.
type shards struct {
	tables [shardCount]atomic.Pointer[table]
	count  atomic.Int64
}

// shardCount keeps a shard near 1,000 entries in a directory of a million.
const shardCount = 1024

func (s *shards) at(hash uint64) *table { return s.tables[hash%shardCount].Load() }

// update replaces old by new, as table.with does.
func (s *shards) update(hash uint64, old, new *Entry, inPlace bool) {
	shard := &s.tables[hash%shardCount]
	shard.Store(shard.Load().with(tagOf(hash), old, new, inPlace))
	if old == nil {
		s.count.Add(1)
	}
	if new == nil {
		s.count.Add(-1)
	}
}

// all gives each entry, in no order, and perhaps twice where it has several
// keys. Each shard is seen as it is when its turn comes.
func (s *shards) all(yield func(*Entry) bool) {
	for i := range s.tables {
		t := s.tables[i].Load()
		if t == nil {
			continue
		}
		for _, e := range t.entries {
			if e != nil && !yield(e) {
				return
			}
		}
	}
}
