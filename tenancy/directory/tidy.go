// Tidying: memory of records that are not needed any more, given back a little at
// each change.

package directory

import "hash/maphash"

const (
	// wasteShare is the part of an arena's records that may be unneeded: 1/wasteShare.
	wasteShare = 5
	// wasteLeast is what is not worth the work, in bytes.
	wasteLeast = 16 << 10
	// movesPerChange bounds the records that one change looks at. Of the bytes in the
	// worst chunk a wasteShare-th is unneeded at least, so that more is given back than a
	// change leaves behind, among records of one size with up to ten names.
	movesPerChange = 2 * wasteShare
	// namesPerChange bounds the names of the records that one change moves; one record
	// of many names is moved even so. Of records with more than ten names the unneeded
	// part may grow beyond a wasteShare-th for that, until it is about a half: then one
	// is given back for each that is moved.
	namesPerChange = 4 * movesPerChange
)

// emptying is the chunk that records are moved out of: 0 for none.
type emptying struct {
	from uint32
	at   int // up to where, in bytes
}

// wasteful tells whether there is enough to be gained, which is nothing in the chunk that
// grows: it is full before it is emptied.
func (a *arena) wasteful() bool {
	if a.last == 0 {
		return false
	}
	last := a.sizes[a.last]
	filled := a.filled - last.filled
	waste := filled - (a.live - last.live)
	return waste > wasteLeast && waste*wasteShare > filled
}

// worst is the chunk of which the smallest part is needed; 0 for none.
func (a *arena) worst() (number uint32) {
	least := 1.0
	for i, e := range a.sizes {
		if e.filled == 0 || uint32(i) == a.last {
			continue
		}
		if share := float64(e.live) / float64(e.filled); share < least {
			number, least = uint32(i), share
		}
	}
	return number
}

// tidy moves a few records out of the chunk with the most waste. A chunk without
// records goes by itself.
func (x *index) tidy() {
	a := &x.records
	m := &a.empty
	if m.from == 0 {
		if !a.wasteful() {
			return
		}
		m.at, m.from = 0, a.worst()
	}
	names := 0
	for range movesPerChange {
		if m.from == 0 || names > namesPerChange {
			return
		}
		from := refTo(m.from, uint32(m.at))
		record := a.entry(from)
		size := sizeOf(record.record())
		if x.ids.holds(x.idHash(record), from) {
			names += x.move(from, record, size)
		}
		if m.from == 0 { // that was its last record
			return
		}
		if m.at += size; m.at >= a.sizes[m.from].filled {
			*m = emptying{}
		}
	}
}

// move copies a record to where there is room, and leads all to it that led to it.
// It returns how many names it has.
func (x *index) move(from ref, e Entry, size int) (names int) {
	to, err := x.records.add(e.record()[:size])
	if err != nil {
		return 0 // it stays where it is, which is as good until there is room
	}
	for n, offset := range e.places {
		names++
		hash, before := maphash.Bytes(x.seed, n.text), refTo(from.chunk(), offset)
		if x.hosts.holds(hash, before) {
			x.hosts.put(hash, before, refTo(to.chunk(), to.offset()+offset-e.offset), x.private)
		}
	}
	x.ids.put(x.idHash(e), from, to, x.private)
	x.records.drop(from)
	return names
}
