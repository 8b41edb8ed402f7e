// Arena: the memory of an index's records, in chunks that the garbage collector
// need not look into.

package directory

import (
	"errors"
	"sync/atomic"
)

const (
	// chunkSize is that of a chunk in a large directory, in bytes; what is below the
	// record's place in a reference counts units in it.
	chunkSize = unit << sizeBits
	// smallChunk is that of the first chunk, in bytes: each further one is as large as
	// all before it, up to chunkSize.
	smallChunk = 4 << 10
	// chunkCount is how many chunks a reference can tell apart: 16 GiB.
	chunkCount = 1 << (32 - sizeBits)
)

// errFull: more records than references can tell apart.
var errFull = errors.New("the directory has no room for more")

// ref is a place in an arena: the number of a chunk, and an offset in units. Chunk 0
// is never used, so that 0 is none.
type ref uint32

func refTo(chunk, offset uint32) ref { return ref(chunk<<sizeBits | offset/unit) }

func (r ref) chunk() uint32 { return uint32(r >> sizeBits) }

// offset is in bytes.
func (r ref) offset() uint32 { return uint32(r&sizeMask) * unit }

// chunk is a piece of an arena. buf grows by records, each of which is written
// before it is published, and never again: a chunk is not used a second time, but
// left to the garbage collector as soon as no record in it is needed, which then
// waits for readers that still have it.
type chunk struct {
	buf   []byte
	texts *texts // those that its records refer to
}

// arena is written by one goroutine at a time, and read by any number.
type arena struct {
	chunks [chunkCount]atomic.Pointer[chunk]
	texts  *texts   // an allocation of its own: who keeps an entry keeps no more of the index
	sizes  []extent // by number; the writer's, as all below
	free   []uint32 // numbers below len(sizes) without a chunk
	last   uint32   // the chunk that grows; 0 for none
	empty  emptying
	limit  uint32 // how many numbers there are
	held   int    // bytes of all chunks
	filled int    // bytes of records, needed or not
	live   int    // bytes of records that are needed
}

// extent is how much of a chunk is filled, and how much of that is needed, in bytes.
type extent struct{ filled, live int }

func (a *arena) init() { a.limit, a.texts = chunkCount, new(texts) }

// entry is the entry at a place. It is for the writer, and for readers of an index
// that nobody changes: a reader beside a writer goes by index.find.
func (a *arena) entry(r ref) Entry {
	if r == 0 {
		return Entry{}
	}
	return Entry{at: a.chunks[r.chunk()].Load(), offset: r.offset()}
}

// add copies a record in.
func (a *arena) add(record []byte) (ref, error) {
	if a.last == 0 || a.sizes[a.last].filled+len(record) > len(a.chunks[a.last].Load().buf) {
		if err := a.grow(len(record)); err != nil {
			return 0, err
		}
	}
	e := &a.sizes[a.last]
	copy(a.chunks[a.last].Load().buf[e.filled:], record)
	r := refTo(a.last, uint32(e.filled))
	e.filled += len(record)
	e.live += len(record)
	a.filled += len(record)
	a.live += len(record)
	return r, nil
}

// grow begins a new chunk with room for n bytes.
func (a *arena) grow(n int) error {
	number := uint32(max(len(a.sizes), 1))
	if len(a.free) > 0 {
		number = a.free[len(a.free)-1]
		a.free = a.free[:len(a.free)-1]
	} else if number >= a.limit {
		return errFull
	}
	for int(number) >= len(a.sizes) {
		a.sizes = append(a.sizes, extent{})
	}
	size := min(max(a.held, smallChunk, n), chunkSize)
	a.chunks[number].Store(&chunk{buf: make([]byte, size), texts: a.texts})
	a.held += size
	before := a.last
	a.last = number
	if before != 0 && a.sizes[before].live == 0 {
		a.release(before)
	}
	return nil
}

// drop says that a record is not needed any more, and that no table refers to it.
func (a *arena) drop(r ref) {
	size := sizeOf(a.entry(r).record())
	a.live -= size
	e := &a.sizes[r.chunk()]
	e.live -= size
	if e.live == 0 && r.chunk() != a.last {
		a.release(r.chunk())
	}
}

// release leaves a chunk to the garbage collector. Its number may be used again at
// once: index.find says why readers do not mind.
func (a *arena) release(number uint32) {
	a.held -= len(a.chunks[number].Load().buf)
	a.filled -= a.sizes[number].filled
	a.chunks[number].Store(nil)
	if a.empty.from == number {
		a.empty = emptying{}
	}
	a.sizes[number] = extent{}
	a.free = append(a.free, number)
}
