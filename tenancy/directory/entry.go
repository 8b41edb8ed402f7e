// Entry: what the directory knows of one instance, and how it is made from the
// instance's document.

package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Entry is what routing needs of one instance. It holds no secret, never
// changes once it is in a directory, and may be shared between goroutines.
type Entry struct {
	ID, Rev   string   // of the document
	Domain    string   // in the document's form: Unicode, with a port where it has one
	Key       string   // the domain's normal form
	Aliases   []string // normal forms, without repetitions and without the domain
	OldDomain string   // normal form; empty for none
	Prefix    string   // of the databases
	Context   string
	Locale    string
	UUID      string
	Cluster   int  // with the instance's databases
	Onboarded bool // the owner has chosen a password, or needs none
	State     tenancy.State
	Reason    tenancy.Reason // of a block; empty in every other state
}

// maxAliases bounds what one document, of whoever wrote it, costs a directory.
const maxAliases = 1000

// errNoID is a document that cannot be told from others.
var errNoID = errors.New("an instance's document has no _id")

// EntryOf makes an entry of a document. The error is the document's
// Malformed, or tells of a missing id. Aliases and an old domain that can be no
// host are left out, since no request can ask for them.
func EntryOf(doc *tenancy.Instance) (Entry, error) {
	if doc.ID() == "" {
		return Entry{}, errNoID
	}
	if err := doc.Malformed(); err != nil {
		return Entry{}, err
	}
	if n := len(doc.Aliases()); n > maxAliases {
		return Entry{}, fmt.Errorf("instance document %q has %d aliases, and at most %d are taken", doc.ID(), n, maxAliases)
	}
	e := Entry{
		ID: doc.ID(), Rev: doc.Rev(), Domain: doc.Domain(), Prefix: doc.Prefix(),
		Context: doc.Text("context"), Locale: doc.Locale(), UUID: doc.Text("uuid"),
		Cluster: doc.Cluster(), Onboarded: doc.Bool("onboarding_finished"), State: doc.State(),
	}
	if e.State == tenancy.Blocked {
		e.Reason = doc.BlockingReason()
	}
	e.Key, _ = tenancy.HostKey(e.Domain) // Malformed has looked at it
	for _, alias := range doc.Aliases() {
		if key, ok := tenancy.HostKey(alias); ok && key != e.Key && !slices.Contains(e.Aliases, key) {
			e.Aliases = append(e.Aliases, key)
		}
	}
	if key, ok := tenancy.HostKey(doc.OldDomain()); ok && key != e.Key && !slices.Contains(e.Aliases, key) {
		e.OldDomain = key
	}
	e.pack()
	return e, nil
}

// pack puts all strings into one: a million entries are a million objects for
// the garbage collector rather than ten.
func (e *Entry) pack() {
	if e.Key == e.Domain {
		e.Key = ""
	}
	reason := string(e.Reason)
	fields := []*string{
		&e.ID, &e.Rev, &e.Domain, &e.Key, &e.OldDomain, &e.Prefix, &e.Context, &e.Locale, &e.UUID, &reason,
	}
	e.Aliases = slices.Clip(e.Aliases)
	for i := range e.Aliases {
		fields = append(fields, &e.Aliases[i])
	}
	size := 0
	for _, f := range fields {
		size += len(*f)
	}
	var b strings.Builder
	b.Grow(size)
	for _, f := range fields {
		b.WriteString(*f)
	}
	all, at := b.String(), 0
	for _, f := range fields {
		n := len(*f)
		*f = all[at : at+n]
		at += n
	}
	e.Reason = tenancy.Reason(reason)
	if e.Key == "" {
		e.Key = e.Domain
	}
}

// names calls fn with each key of the entry, each once.
func (e *Entry) names(fn func(key string, by By)) {
	fn(e.Key, ByDomain)
	for _, alias := range e.Aliases {
		fn(alias, ByAlias)
	}
	if e.OldDomain != "" {
		fn(e.OldDomain, ByOldDomain)
	}
}

// named tells as what the entry has a key, and gives the entry's own copy of
// it; 0 where it has not.
func (e *Entry) named(key []byte) (By, string) {
	if e.Key == string(key) {
		return ByDomain, e.Key
	}
	for _, alias := range e.Aliases {
		if alias == string(key) {
			return ByAlias, alias
		}
	}
	if e.OldDomain == string(key) && e.OldDomain != "" {
		return ByOldDomain, e.OldDomain
	}
	return 0, ""
}

// before tells whether e keeps a key that rival has as well: a domain goes
// before an alias and an alias before an old domain, then the smaller id, so
// that every front door decides alike.
func (e *Entry) before(rival *Entry, key []byte) bool {
	mine, _ := e.named(key)
	theirs, _ := rival.named(key)
	if mine != theirs {
		return mine < theirs
	}
	return e.ID < rival.ID
}
