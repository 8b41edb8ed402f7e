// Claims: which of the entries that have a key is found by it.

package directory

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
)

// claim is a document that has a key. A domain goes before an alias and an alias before
// an old domain, then the smaller id, so that every front door decides alike.
type claim struct {
	id string
	by By
}

func (c claim) compare(other claim) int {
	return cmp.Or(cmp.Compare(c.by, other.by), strings.Compare(c.id, other.id))
}

// rivals are the claims on a key but for that of the entry that is found by it, in
// order, so that a name which thousands of documents have costs each change of one of
// them a few comparisons, and nothing is looked up but who takes over.
type rivals []claim

func (r rivals) with(c claim) rivals {
	at, _ := slices.BinarySearchFunc(r, c, claim.compare)
	return slices.Insert(r, at, c)
}

// without leaves out a document, as whatever it has the key.
func (r rivals) without(id string) rivals {
	for by := ByDomain; by <= ByOldDomain; by++ {
		if at, is := slices.BinarySearchFunc(r, claim{id, by}, claim.compare); is {
			r = slices.Delete(r, at, at+1)
		}
	}
	return r
}

// first takes out the best claim. There must be one.
func (r rivals) first() (claim, rivals) {
	c := r[0]
	r[0] = claim{} // so that its id can be freed
	return c, r[1:]
}

// claim decides anew who is found by a key, after the document id has got an entry
// with the key, by this role, at a place; or with a place of 0 has lost its own.
func (x *index) claim(key []byte, id string, by By, at ref) {
	var room [2 * packedSize]byte
	holder := x.find(key)
	others := x.rivals[string(key)] // mostly none
	own := claim{id, by}
	if holder.place == 0 || holder.entry().isOf(identify(room[:0], id)) {
		if len(others) == 0 || at != 0 && own.compare(others[0]) < 0 {
			x.lead(key, holder, by, at)
			return
		}
		next, others := others.first()
		x.lead(key, holder, next.by, x.placeOf(next.id, key))
		if at != 0 {
			others = others.with(own)
		}
		x.setRivals(key, others)
		return
	}
	others = others.without(id)
	if at != 0 {
		if held := (claim{holder.entry().ID(), holder.by()}); own.compare(held) < 0 {
			x.lead(key, holder, by, at)
			own = held
		}
		others = others.with(own)
	}
	x.setRivals(key, others)
}

// lead has a key lead to a place from now on, where it is what by says; 0 is none.
func (x *index) lead(key []byte, holder finding, by By, at ref) {
	if holder.place != 0 && at == 0 || holder.present() && by == ByOldDomain {
		x.losses.Add(1) // after what the same change adds, as new names come first: see byKey
	}
	hash := maphash.Bytes(x.seed, key)
	switch {
	case at != 0:
		x.hosts.put(hash, holder.place, at, x.private)
	case holder.place != 0:
		x.hosts.delete(hash, holder.place, x.private)
	}
}

func (x *index) setRivals(key []byte, r rivals) {
	switch {
	case len(r) == 0:
		delete(x.rivals, string(key))
		return
	case len(r) < cap(r)/4:
		r = append(make(rivals, 0, 2*len(r)), r...) // what many had once is given back
	}
	x.rivals[string(key)] = r
}

// placeOf is where a document's entry has a key.
func (x *index) placeOf(id string, key []byte) ref {
	e, place := x.byID(id)
	for n, offset := range e.places {
		if string(n.text) == string(key) {
			return refTo(place.chunk(), offset)
		}
	}
	return 0 // it would not be a rival
}
