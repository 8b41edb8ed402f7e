// Prefixes: which instances have the same, so that a destroy need not look at all of them.

package directory

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// odd are the ids of the entries, by prefix, whose prefix is not made of their domain: of
// instances that were renamed, or whose records were copied, at some 150 bytes each. All
// others have a prefix of their own as long as they have a domain of their own.
type odd map[string][]string

func (o odd) add(e Entry) {
	if !e.madeOfDomain() {
		prefix := strings.Clone(e.Prefix()) // no part of a chunk
		o[prefix] = append(o[prefix], e.ID())
	}
}

func (o odd) remove(e Entry) {
	if e.madeOfDomain() {
		return
	}
	prefix, id := strings.Clone(e.Prefix()), e.ID()
	ids := slices.DeleteFunc(o[prefix], func(other string) bool { return other == id })
	if len(ids) == 0 {
		delete(o, prefix)
	} else {
		o[prefix] = ids
	}
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
// two have made the same domain. Of an instance that was renamed it looks at every entry,
// which takes some hundreds of milliseconds for a million. known is false before the
// directory is ready: nobody knows then who else has them.
func (d *Directory) WithPrefix(prefix, domain string) (ids []string, known bool) {
	if !d.Loaded() {
		return nil, false
	}
	wanted, packed := packPrefix(nil, prefix)
	if !packed {
		wanted = []byte(prefix)
	}
	sum := sha256.Sum256([]byte(domain))
	if packed && string(wanted) != string(sum[:packedSize]) || !packed && prefix != domain {
		return d.scanPrefix(wanted, packed), true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.served.Load()
	key, _ := tenancy.HostKey(domain)
	ids = slices.Clone(x.odd[prefix])
	// Those that have it by their domain have that domain.
	if f := x.find([]byte(key)); f.place != 0 && f.entry().hasPrefix(wanted, packed) {
		ids = append(ids, f.entry().ID())
	}
	for _, rival := range x.rivals[key] {
		if e, place := x.byID(rival.id); place != 0 && e.hasPrefix(wanted, packed) {
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
