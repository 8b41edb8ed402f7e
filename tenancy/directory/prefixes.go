// Prefixes: which instances have the same, so that a destroy need not look at all of them.

package directory

import (
	"crypto/sha256"
	"hash/maphash"
	"slices"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// countPrefix counts an entry whose prefix is not made of its domain, as that of an
// instance that was renamed, or whose record was copied. All others have a prefix of their
// own as long as they have a domain of their own.
func (x *index) countPrefix(e Entry, by int) {
	if e.madeOfDomain() {
		return
	}
	hash := x.prefixHash(e.prefix())
	if left := x.prefixes[hash] + uint32(by); left > 0 {
		x.prefixes[hash] = left
	} else {
		delete(x.prefixes, hash)
	}
}

// prefixHash keys prefixes: two with one hash cost a scan that finds nothing.
func (x *index) prefixHash(prefix []byte, packed bool) uint32 {
	hash := uint32(maphash.Bytes(x.seed, prefix))
	if packed {
		return ^hash
	}
	return hash
}

// prefix is that of the databases as the record has it; it must not be the domain.
func (e Entry) prefix() (text []byte, packed bool) {
	r := e.fields()
	r.id()
	r.rev()
	return r.prefix(), r.has(hexPrefix)
}

// madeOfDomain tells whether the prefix is that of tenancy.Domain.Prefix, or the domain
// itself, as very old stacks have it.
func (e Entry) madeOfDomain() bool {
	r := e.fields()
	if r.has(isPrefix) {
		return true
	}
	if !r.has(hexPrefix) {
		return false
	}
	r.id()
	r.rev()
	sum := sha256.Sum256([]byte(e.Domain()))
	return string(r.prefix()) == string(sum[:packedSize])
}

// WithPrefix are the documents' ids of the instances whose databases begin with prefix,
// which is that of an instance with this domain: one, but where a record was copied, or
// two have made the same domain. It looks at every entry, which takes some hundreds of
// milliseconds for a million, where one was renamed that has the prefix. known is false
// before the directory is ready: nobody knows then who else has them.
func (d *Directory) WithPrefix(prefix, domain string) (ids []string, known bool) {
	if !d.Loaded() {
		return nil, false
	}
	wanted, packed := packPrefix(nil, prefix)
	if !packed {
		wanted = []byte(prefix)
	}
	sum := sha256.Sum256([]byte(domain))
	if packed && string(wanted) == string(sum[:packedSize]) || !packed && prefix == domain {
		if ids, certain := d.byDomain(wanted, packed, domain); certain {
			return ids, true
		}
	}
	return d.scanPrefix(wanted, packed), true
}

// byDomain are the instances with a prefix that is made of a domain. certain is false
// where others can have it too.
func (d *Directory) byDomain(prefix []byte, packed bool, domain string) (ids []string, certain bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.served.Load()
	if x.prefixes[x.prefixHash(prefix, packed)] > 0 {
		return nil, false
	}
	// Those that have it by their domain have that domain.
	key, _ := tenancy.HostKey(domain)
	if f := x.find([]byte(key)); f.place != 0 && f.entry().hasPrefix(prefix, packed) {
		ids = append(ids, f.entry().ID())
	}
	for _, rival := range x.rivals[key] {
		if e, place := x.byID(rival.id); place != 0 && e.hasPrefix(prefix, packed) {
			ids = append(ids, rival.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), true
}

func (d *Directory) scanPrefix(prefix []byte, packed bool) (ids []string) {
	for e := range d.All() {
		if e.hasPrefix(prefix, packed) {
			ids = append(ids, e.ID())
		}
	}
	return ids
}
