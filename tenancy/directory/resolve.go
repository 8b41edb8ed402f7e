// Resolve: from a request's Host to the instance, in a stack's order.

package directory

import (
	"strconv"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// By says as what an instance has the name that was found.
type By uint8

// In the order in which they win where several instances have one name.
const (
	ByDomain By = iota + 1
	ByAlias
	ByOldDomain
)

// String is the name of it, for people.
func (b By) String() string {
	switch b {
	case ByDomain:
		return "domain"
	case ByAlias:
		return "alias"
	case ByOldDomain:
		return "old domain"
	default:
		return "none"
	}
}

// Match is the instance behind a host. Its key is a part of the directory's memory, as
// the texts of its entry.
type Match struct {
	Entry Entry
	By    By
	Slug  string // of an app host, in normal form; else empty
	Key   string // the instance's name that was found, in normal form
	state tenancy.State
}

// resolve finds the instance behind a host, and fills in m where there is one: the
// host's parent by domain or alias, then the host itself, then the old domain of either;
// each with its port first, then without. An instance and its old domain are in one
// table, where the former wins, so two look-ups (four with ports) are all it takes.
func (x *index) resolve(host string, mode Mode, m *Match) bool {
	if mode != Flat {
		if name, ok := tenancy.PlainHost(host); ok {
			return x.byKey(host, bytesOf(host), name, nil, mode, m)
		}
	}
	return x.resolveInRoom(host, mode, m)
}

// resolveInRoom is resolve where the key or the parent's is none of the host's bytes.
//
//go:noinline
func (x *index) resolveInRoom(host string, mode Mode, m *Match) bool {
	var room, parentRoom [tenancy.MaxHostLength]byte
	key, name, ok := tenancy.AppendHost(room[:0], host)
	return ok && x.byKey(host, key, name, parentRoom[:0], mode, m)
}

// lookTries bounds how often a look-up is made, so that no storm of changes holds a reader.
const lookTries = 3

// byKey is resolve for a host in normal form, of which name bytes are no port. The
// host as it came is for the slug, which is a part of it. room is for the parent.
//
// Its look-ups are not of one moment: an instance that goes from one name to another can
// be at neither when they are looked at, though the host is its own before and after. So
// what would be nobody's, or an old domain's, is looked up again where a name was lost
// meanwhile. index.losses is beside index.ported, on a line that is read in any case.
func (x *index) byKey(host string, key []byte, name int, room []byte, mode Mode, m *Match) bool {
	tries := 0
again:
	losses := x.losses.Load()
	ported := x.ported.Load() > 0
	var parent finding
	parentKey, parentName, slug, isApp := mode.cut(room, key, name)
	if isApp {
		parent = x.named(parentKey, parentName, ported)
	}
	f := parent
	if !f.present() {
		f = x.named(key, name, ported)
		isApp = false
		if !f.present() && parent.place != 0 {
			f, isApp = parent, true
		}
		if tries++; !f.present() && tries < lookTries && x.losses.Load() != losses {
			goto again
		}
	}
	if f.place == 0 {
		return false
	}
	m.Entry, m.By, m.Key, m.state = f.entry(), f.by(), f.key(), f.state()
	if isApp {
		m.Slug = slug.in(host, key)
	}
	return true
}

// present tells whether an instance has the name now, rather than had it.
func (f finding) present() bool { return f.place != 0 && f.by() != ByOldDomain }

// named finds the instance of a name: with the port, then without; an instance
// that has it now before one that had it.
func (x *index) named(key []byte, name int, ported bool) finding {
	var old finding
	if ported && name < len(key) {
		if old = x.find(key); old.present() {
			return old
		}
	}
	if f := x.find(key[:name]); f.present() || old.place == 0 {
		return f
	}
	return old
}

// Resolve finds the instance behind a request's Host, which may carry a port. It
// takes no lock, and allocates nothing for a lower-case ASCII host, of which the
// match's slug is a part. It finds nothing before the directory is ready.
// Safe for concurrent use.
func (d *Directory) Resolve(host string, mode Mode) (match Match, found bool) {
	if x := d.served.Load(); x != nil {
		found = x.resolve(host, mode, &match)
	}
	return match, found
}

// ResolveAt is Resolve for a name without a port, as TLS has it, that somebody has come
// for at a port; 0 where that is not known. A name with a port of its own is nobody's.
func (d *Directory) ResolveAt(name string, port uint16, mode Mode) (match Match, found bool) {
	x := d.served.Load()
	if x == nil {
		return match, false
	}
	var room, parentRoom [tenancy.MaxHostLength]byte
	key, length, ok := tenancy.AppendHost(room[:0], name)
	if !ok || length < len(key) {
		return match, false
	}
	if port != 0 && x.ported.Load() > 0 {
		key = strconv.AppendUint(append(key, ':'), uint64(port), 10)
	}
	found = x.byKey(name, key, length, parentRoom[:0], mode, &match)
	return match, found
}
