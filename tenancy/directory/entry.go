// Entry: what the directory knows of one instance.

package directory

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Entry is what routing needs of one instance: a reference to a record that holds no
// secret and never changes. It is small, is passed by value and may be shared between
// goroutines; the zero value is none, of which all fields are empty.
//
// Its texts are parts of the directory's memory where they stand there as they are,
// and are made anew where they are packed (Rev, Prefix and UUID mostly are, ID always
// is). An entry, and a text that is a part, keep the chunk that they are in from being
// freed, 1 MiB at most; an entry keeps the texts that all share as well, some 30 KiB, and
// no more of the directory. Who keeps either for long keeps a copy of the text instead
// (strings.Clone).
type Entry struct {
	at     *chunk
	offset uint32 // of the record in the chunk, in bytes
}

// IsZero tells whether there is no entry.
func (e Entry) IsZero() bool { return e.at == nil }

// record is the entry's record, with whatever follows it in memory; nil for none.
func (e Entry) record() []byte {
	if e.at == nil {
		return nil
	}
	return e.at.buf[e.offset:]
}

var noRecord = (&facts{}).write(nil, nil)

func (e Entry) fields() fields {
	if e.at == nil {
		return fieldsOf(noRecord)
	}
	return fieldsOf(e.at.buf[e.offset:])
}

func (e Entry) texts() *texts {
	if e.at == nil {
		return nil
	}
	return e.at.texts
}

// ID is that of the document, a text of the caller's own: ids are what maps are keyed by.
func (e Entry) ID() string {
	r := e.fields()
	id := r.id()
	if r.has(hexID) {
		return unpackHex(id)
	}
	return string(id)
}

// CompareID orders entries by their documents' ids, as strings.Compare does, and mostly
// without making them.
func (e Entry) CompareID(other Entry) int {
	a, b := e.fields(), other.fields()
	if a.has(hexID) && b.has(hexID) {
		return bytes.Compare(a.id(), b.id())
	}
	return strings.Compare(e.ID(), other.ID())
}

// identity is an id as records have it.
type identity struct {
	text   []byte
	packed bool
}

func identify(room []byte, id string) identity {
	if packed, ok := packHex(room, id); ok {
		return identity{packed, true}
	}
	return identity{append(room, id...), false}
}

func (e Entry) isOf(want identity) bool {
	r := e.fields()
	return r.has(hexID) == want.packed && string(r.id()) == string(want.text)
}

// Is tells whether two entries are of one document, whatever their revisions. It
// allocates nothing. None is of no document.
func (e Entry) Is(other Entry) bool {
	if e.at == nil || other.at == nil {
		return false
	}
	if e == other {
		return true
	}
	r := other.fields()
	return e.isOf(identity{r.id(), r.has(hexID)})
}

// Rev is the document's revision.
func (e Entry) Rev() string {
	r := e.fields()
	r.id()
	return revOf(&r)
}

// sameRev tells whether the revisions are the same.
func (e Entry) sameRev(other Entry) bool {
	a, b := e.fields(), other.fields()
	a.id()
	b.id()
	m, mine := a.rev()
	n, theirs := b.rev()
	return a.has(hexRev) == b.has(hexRev) && m == n && string(mine) == string(theirs)
}

func revOf(r *fields) string {
	generation, hash := r.rev()
	if r.has(hexRev) {
		return unpackRev(generation, hash)
	}
	return textOf(hash)
}

// Prefix is that of the instance's databases.
func (e Entry) Prefix() string {
	r := e.fields()
	if r.has(isPrefix) {
		return e.Domain()
	}
	r.id()
	r.rev()
	prefix := r.prefix()
	if r.has(hexPrefix) {
		return prefixBegin + unpackHex(prefix)
	}
	return textOf(prefix)
}

// hasPrefix compares without making a text.
func (e Entry) hasPrefix(prefix []byte, packed bool) bool {
	r := e.fields()
	if r.has(isPrefix) {
		return !packed && e.Domain() == textOf(prefix) || packed && e.Domain() == prefixBegin+unpackHex(prefix)
	}
	r.id()
	r.rev()
	return r.has(hexPrefix) == packed && string(r.prefix()) == string(prefix)
}

// UUID is the instance's, or empty.
func (e Entry) UUID() string {
	r := e.fields()
	r.id()
	r.rev()
	r.prefix()
	uuid := r.uuid()
	if r.has(hexUUID) {
		return unpackUUID(uuid)
	}
	return textOf(uuid)
}

// toDomain reads up to the domain.
func (e Entry) toDomain() fields {
	r := e.fields()
	r.id()
	r.rev()
	r.prefix()
	r.uuid()
	return r
}

// Domain is the domain in the document's form: Unicode, with a port where it has one.
func (e Entry) Domain() string {
	r := e.toDomain()
	if r.has(ownDomain) {
		return textOf(r.domain())
	}
	return e.Key()
}

// Context is the name of the instance's context, or empty.
func (e Entry) Context() string {
	r := e.toDomain()
	r.domain()
	return e.texts().text(r.shared())
}

// Locale is the instance's language, or empty.
func (e Entry) Locale() string {
	r := e.toDomain()
	r.domain()
	r.shared()
	return e.texts().text(r.shared())
}

// Reason is that of a block; empty in every other state.
func (e Entry) Reason() tenancy.Reason {
	r := e.toDomain()
	r.domain()
	r.shared()
	r.shared()
	return tenancy.Reason(e.texts().text(r.reason()))
}

// toNames reads up to the names.
func (e Entry) toNames() (cluster int64, names int) {
	r := e.toDomain()
	r.domain()
	r.shared()
	r.shared()
	r.reason()
	cluster = r.cluster()
	return cluster, r.names()
}

// Cluster is the index of the cluster with the instance's databases.
func (e Entry) Cluster() int {
	cluster, _ := e.toNames()
	return int(cluster)
}

// Onboarded tells whether the owner has chosen a password, or needs none.
func (e Entry) Onboarded() bool {
	return e.at != nil && binary.LittleEndian.Uint32(e.record())&onboarded != 0
}

// State is what a visitor meets.
func (e Entry) State() tenancy.State {
	if e.at == nil {
		return 0
	}
	return tenancy.State(binary.LittleEndian.Uint32(e.record()) >> stateAt & 3)
}

// Key is the domain's normal form.
func (e Entry) Key() string {
	if e.at == nil {
		return ""
	}
	_, at := e.toNames()
	return textOf(nameAt(e.record()[at:]).text)
}

// Aliases are the normal forms of the aliases, without repetitions and without the
// domain, in a list of the caller's own.
func (e Entry) Aliases() (aliases []string) {
	for n := range e.names {
		if n.by == ByAlias {
			aliases = append(aliases, textOf(n.text))
		}
	}
	return aliases
}

// OldDomain is the normal form of a former domain, or empty.
func (e Entry) OldDomain() (old string) {
	for n := range e.names {
		if n.by == ByOldDomain {
			old = textOf(n.text)
		}
	}
	return old
}

// names gives each name of the entry, each key once.
func (e Entry) names(yield func(name) bool) {
	for n := range e.places {
		if !yield(n) {
			return
		}
	}
}

// places gives each name with its offset in the chunk, in bytes.
func (e Entry) places(yield func(name, uint32) bool) {
	if e.at == nil {
		return
	}
	_, start := e.toNames()
	b := e.record()
	for at := start; ; {
		n := nameAt(b[at:])
		if !yield(n, e.offset+uint32(at)) || n.last {
			return
		}
		at += unit + (len(n.text)+unit-1)/unit*unit
	}
}

// named tells as what the entry has a key; 0 where it has not.
func (e Entry) named(key []byte) By {
	for n := range e.names {
		if string(n.text) == string(key) {
			return n.by
		}
	}
	return 0
}
