// Claims: which of the entries that have a key is found by it.

package directory

import (
	"hash/maphash"
	"slices"
)

// claimant is an entry that has a key.
type claimant struct {
	id    string
	entry Entry
	at    ref // of the name
}

// claim decides anew who is found by a key, after the document id has got an entry
// with the key at a place, or with 0 has lost its own.
func (x *index) claim(key []byte, id string, at ref) {
	var room [2 * packedSize]byte
	want := identify(room[:0], id)
	holder := x.find(key)
	hash := maphash.Bytes(x.seed, key)
	rivals := x.rivals[string(key)] // mostly none
	mine := holder.place == 0 || holder.entry().isOf(want)
	if mine && len(rivals) == 0 {
		switch {
		case at != 0:
			x.hosts.put(hash, holder.place, at, x.private)
		case holder.place != 0:
			x.hosts.delete(hash, holder.place, x.private)
		}
		return
	}
	var all []claimant
	if !mine {
		all = append(all, claimant{holder.entry().ID(), holder.entry(), holder.place})
	}
	if at != 0 {
		all = append(all, claimant{id, x.entryOf(at), at})
	}
	for _, rival := range rivals {
		if rival == id {
			continue
		}
		e, place := x.byID(rival)
		for n, offset := range e.places {
			if string(n.text) == string(key) {
				all = append(all, claimant{rival, e, refTo(place.chunk(), offset)})
				break
			}
		}
	}
	slices.SortFunc(all, func(a, b claimant) int {
		if a.entry.before(b.entry, key) {
			return -1
		}
		return 1
	})
	switch {
	case len(all) > 0 && all[0].at != holder.place:
		x.hosts.put(hash, holder.place, all[0].at, x.private)
	case len(all) == 0 && holder.place != 0:
		x.hosts.delete(hash, holder.place, x.private)
	}
	if len(all) < 2 {
		delete(x.rivals, string(key))
		return
	}
	left := make([]string, 0, len(all)-1)
	for _, c := range all[1:] {
		left = append(left, c.id)
	}
	x.rivals[string(key)] = left
}

// entryOf is the entry with the name at a place.
func (x *index) entryOf(at ref) Entry {
	e := x.records.entry(at)
	e.offset -= x.nameAt(at).back
	return e
}
