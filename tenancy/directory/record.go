// Records: a header and an entry as the bytes of a snapshot's frame.

package directory

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func (h header) append(dst []byte) []byte {
	for _, s := range []string{h.Identity, h.Database, h.Born, h.Since} {
		dst = appendText(dst, s)
	}
	known := int64(0)
	if !h.Known.IsZero() {
		known = h.Known.UnixMilli()
	}
	return binary.AppendVarint(dst, known)
}

func parseHeader(frame []byte) (h header, ok bool) {
	r := record{rest: string(frame)}
	for _, s := range []*string{&h.Identity, &h.Database, &h.Born, &h.Since} {
		*s = r.text()
	}
	if known := r.number(); known != 0 {
		h.Known = time.UnixMilli(known)
	}
	return h, r.whole()
}

// onboardedBit stands beside the state.
const onboardedBit = 0x80

// append writes an entry. A key or prefix that is the domain is left out.
func (e *Entry) append(dst []byte) []byte {
	key, prefix := e.Key, e.Prefix
	if key == e.Domain {
		key = ""
	}
	if prefix == e.Domain {
		prefix = ""
	}
	for _, s := range [...]string{
		e.ID, e.Rev, e.Domain, key, e.OldDomain, prefix, e.Context, e.Locale, e.UUID, string(e.Reason),
	} {
		dst = appendText(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Aliases)))
	for _, alias := range e.Aliases {
		dst = appendText(dst, alias)
	}
	dst = binary.AppendVarint(dst, int64(e.Cluster))
	bits := byte(e.State)
	if e.Onboarded {
		bits |= onboardedBit
	}
	return append(dst, bits)
}

// parseEntry reads an entry, whose strings are parts of the frame. ok is false
// for what no directory can have written.
func parseEntry(frame string) (*Entry, bool) {
	r := record{rest: frame}
	e := &Entry{}
	var reason string
	for _, s := range [...]*string{
		&e.ID, &e.Rev, &e.Domain, &e.Key, &e.OldDomain, &e.Prefix, &e.Context, &e.Locale, &e.UUID, &reason,
	} {
		*s = r.text()
	}
	e.Reason = tenancy.Reason(reason)
	if e.Key == "" {
		e.Key = e.Domain
	}
	if e.Prefix == "" {
		e.Prefix = e.Domain
	}
	if n := r.length(); n > 0 {
		e.Aliases = make([]string, n)
		for i := range e.Aliases {
			e.Aliases[i] = r.text()
		}
	}
	cluster := r.number()
	bits := r.byte()
	state := bits &^ onboardedBit
	if !r.whole() || e.ID == "" || e.Key == "" ||
		cluster < math.MinInt32 || cluster > math.MaxInt32 || state > byte(tenancy.Deleting) {
		return nil, false
	}
	e.Cluster, e.State, e.Onboarded = int(cluster), tenancy.State(state), bits&onboardedBit != 0
	return e, true
}

// record takes a frame apart; after a mistake it gives nothing any more.
type record struct {
	rest   string
	broken bool
}

func (r *record) byte() byte {
	if len(r.rest) == 0 {
		r.broken = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *record) unsigned() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.broken = true
	return 0
}

// number is a signed varint.
func (r *record) number() int64 {
	n := r.unsigned()
	return int64(n>>1) ^ -int64(n&1)
}

// length is a number of bytes or of things of at least a byte, and so not more
// than there are left.
func (r *record) length() int {
	n := r.unsigned()
	if r.broken || n > uint64(len(r.rest)) {
		r.broken, r.rest = true, ""
		return 0
	}
	return int(n)
}

func (r *record) text() string {
	n := r.length()
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// whole tells whether the frame was right, and read to its end.
func (r *record) whole() bool { return !r.broken && r.rest == "" }
