// Records: an entry as bytes, which hold no pointer and do not change, so that they
// can be copied to another place and into a snapshot as they are.
//
//	head    4 bytes: the record's size, flags, state
//	fields  id, revision, prefix, UUID, [domain,] context, locale, [reason,] cluster
//	names   each: 4 bytes (where the head is, length, role, state), the text; the
//	        domain first, then the aliases, then the old domain
//
// The size, and where a head is, are counted in units of 4 bytes, to which each
// name and the whole are aligned. Numbers of 4 bytes are little endian. A text has
// its length, a varint, before it, but for what is canonical (pack.go): 16 bytes.

package directory

import (
	"encoding/binary"
	"math"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// unit is what records and names are aligned to, in bytes: references count in
// units, and so four times as many bytes can be referred to.
const unit = 4

// maxRecord bounds a record, in bytes: a thousand names of the greatest length, and
// 220 KB of anything else.
const maxRecord = 512 << 10

// Bits of a head: the size, the state, flags.
const (
	sizeBits = 18
	sizeMask = 1<<sizeBits - 1
	stateAt  = sizeBits // 2 bits
)

// Flags of a head.
const (
	onboarded = 1 << (stateAt + 2 + iota)
	hexID
	hexRev
	hexUUID
	ownDomain // the domain is written otherwise than the key
	hasReason
	hexPrefix // "cozy" and 32 digits
	isPrefix  // the prefix is the domain
)

// Bits of a name's head, above the distance to the record's head.
const (
	lengthAt    = sizeBits
	lengthMask  = 1<<9 - 1 // MaxHostLength is below that
	byAt        = lengthAt + 9
	nameStateAt = byAt + 2
	lastName    = 1 << 31
)

// write appends a record; t takes the texts that are shared, nil to keep all in the
// record. dst ends at a multiple of unit, or is empty.
func (f *facts) write(dst []byte, t *texts) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	head := uint32(f.state) << stateAt
	set := func(flag uint32, on bool) bool {
		if on {
			head |= flag
		}
		return on
	}
	set(onboarded, f.onboarded)
	out, packed := packHex(dst, f.id)
	if dst = out; !set(hexID, packed) {
		dst = appendText(dst, f.id)
	}
	out, packed = packRev(dst, f.rev)
	if dst = out; !set(hexRev, packed) {
		dst = appendText(dst, f.rev)
	}
	if !set(isPrefix, f.prefix == f.domain) {
		out, packed = packPrefix(dst, f.prefix)
		if dst = out; !set(hexPrefix, packed) {
			dst = appendText(dst, f.prefix)
		}
	}
	out, packed = packUUID(dst, f.uuid)
	if dst = out; !set(hexUUID, packed) {
		dst = appendText(dst, f.uuid)
	}
	if set(ownDomain, f.domain != f.key) {
		dst = appendText(dst, f.domain)
	}
	dst = t.append(dst, f.context)
	dst = t.append(dst, f.locale)
	if set(hasReason, f.reason != "") {
		dst = t.append(dst, string(f.reason))
	}
	dst = align(binary.AppendVarint(dst, int64(f.cluster)), start)
	last := 0
	name := func(key string, by By) {
		last = len(dst)
		dst = binary.LittleEndian.AppendUint32(dst,
			uint32(last-start)/unit|uint32(len(key))<<lengthAt|uint32(by)<<byAt|uint32(f.state)<<nameStateAt)
		dst = align(append(dst, key...), start)
	}
	name(f.key, ByDomain)
	for _, alias := range f.aliases {
		name(alias, ByAlias)
	}
	if f.oldDomain != "" {
		name(f.oldDomain, ByOldDomain)
	}
	dst[last+3] |= lastName >> 24
	binary.LittleEndian.PutUint32(dst[start:], head|uint32(len(dst)-start)/unit)
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// align fills up to a unit, counted from start.
func align(dst []byte, start int) []byte {
	for (len(dst)-start)%unit != 0 {
		dst = append(dst, 0)
	}
	return dst
}

// name is what stands at a name's place.
type name struct {
	text  []byte // a part of the record
	by    By
	state tenancy.State
	back  uint32 // to the record's head, in bytes
	last  bool
}

func nameAt(b []byte) name {
	w := binary.LittleEndian.Uint32(b)
	n := lengthOf(w)
	return name{text: b[unit : unit+n : unit+n], by: byOf(w), state: stateOf(w), back: backOf(w), last: w&lastName != 0}
}

// What a name's head says.
func lengthOf(w uint32) uint32          { return w >> lengthAt & lengthMask }
func byOf(w uint32) By                  { return By(w >> byAt & 3) }
func stateOf(w uint32) tenancy.State    { return tenancy.State(w >> nameStateAt & 3) }
func backOf(w uint32) (distance uint32) { return w & sizeMask * unit }

// sizeOf is the size of the record that begins with b, in bytes.
func sizeOf(b []byte) int { return int(binary.LittleEndian.Uint32(b)&sizeMask) * unit }

// fields reads the fields of a record in their order; after a mistake, which only
// what comes from a file can have, it gives nothing any more.
type fields struct {
	b      []byte // the record
	at     int
	head   uint32
	broken bool
}

// fieldsOf reads a record. b begins with it, and may be longer.
func fieldsOf(b []byte) fields {
	return fields{b: b, at: unit, head: binary.LittleEndian.Uint32(b)}
}

func (r *fields) has(flag uint32) bool { return r.head&flag != 0 }

func (r *fields) take(n int) []byte {
	if n > len(r.b)-r.at {
		r.broken, r.at = true, len(r.b)
		return nil
	}
	out := r.b[r.at : r.at+n : r.at+n]
	r.at += n
	return out
}

func (r *fields) number() uint64 {
	n, size := binary.Uvarint(r.b[r.at:])
	if size <= 0 {
		r.broken, r.at = true, len(r.b)
		return 0
	}
	r.at += size
	return n
}

func (r *fields) text() []byte {
	n := r.number()
	if n > math.MaxInt32 {
		r.broken = true
		return nil
	}
	return r.take(int(n))
}

// either is a field that is packed where the flag says so.
func (r *fields) either(flag uint32) []byte {
	if r.has(flag) {
		return r.take(packedSize)
	}
	return r.text()
}

func (r *fields) id() []byte { return r.either(hexID) }

func (r *fields) rev() (generation uint64, hash []byte) {
	if r.has(hexRev) {
		generation = r.number()
	}
	return generation, r.either(hexRev)
}

func (r *fields) prefix() []byte {
	if r.has(isPrefix) {
		return nil
	}
	return r.either(hexPrefix)
}

func (r *fields) uuid() []byte { return r.either(hexUUID) }

func (r *fields) domain() []byte {
	if r.has(ownDomain) {
		return r.text()
	}
	return nil
}

// shared is a text of which the record may have only the number.
func (r *fields) shared() (number int, own []byte) {
	b := r.take(1)
	if b == nil || b[0] != ownText {
		if b == nil {
			return 0, nil
		}
		return int(b[0]), nil
	}
	return ownText, r.text()
}

func (r *fields) reason() (number int, own []byte) {
	if r.has(hasReason) {
		return r.shared()
	}
	return noText, nil
}

func (r *fields) cluster() int64 {
	n := r.number()
	return int64(n>>1) ^ -int64(n&1)
}

// names is where the first name is, after the cluster.
func (r *fields) names() int { return (r.at + unit - 1) / unit * unit }

// check tells whether a record from a file is one that write can have made. known
// is the number of shared texts.
func check(b []byte, known int) bool {
	if len(b) < 2*unit || len(b) > maxRecord || sizeOf(b) != len(b) {
		return false
	}
	r := fieldsOf(b)
	state := tenancy.State(r.head >> stateAt & 3)
	id := r.id()
	if len(id) == 0 || state > tenancy.Deleting {
		return false
	}
	if !r.has(hexID) { // one id has one form
		var room [packedSize]byte
		if _, packed := packHex(room[:0], string(id)); packed {
			return false
		}
	}
	r.rev()
	r.prefix()
	r.uuid()
	if r.domain(); r.broken {
		return false
	}
	for _, next := range []func() (int, []byte){r.shared, r.shared, r.reason} {
		if number, _ := next(); number < ownText && number >= known || r.broken {
			return false
		}
	}
	cluster := r.cluster()
	if int64(int(cluster)) != cluster || r.broken {
		return false
	}
	return checkNames(b, r.names(), state)
}

func checkNames(b []byte, at int, state tenancy.State) bool {
	role := By(0)
	count := 0
	for first := true; ; first = false {
		if count++; count > maxAliases+2 || at+unit > len(b) {
			return false
		}
		w := binary.LittleEndian.Uint32(b[at:])
		length := int(lengthOf(w))
		if length == 0 || length > tenancy.MaxHostLength || length > len(b)-at-unit {
			return false
		}
		n := nameAt(b[at:])
		if int(n.back) != at || n.state != state || n.by < ByDomain || (n.by == ByDomain) != first || n.by < role ||
			n.by == ByOldDomain && !n.last {
			return false
		}
		role = n.by
		at += unit + (length+unit-1)/unit*unit
		if n.last {
			return at == len(b)
		}
	}
}
