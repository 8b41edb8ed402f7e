// Facts: what is known of one instance, as strings; how they are made from the
// instance's document, and what they may not exceed.

package directory

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// facts are an entry before it is written down. The fields are those of Entry.
type facts struct {
	id, rev   string
	domain    string
	key       string
	aliases   []string
	oldDomain string
	prefix    string
	context   string
	locale    string
	uuid      string
	cluster   int
	onboarded bool
	state     tenancy.State
	reason    tenancy.Reason
}

// maxAliases bounds what one document, of whoever wrote it, costs a directory.
const maxAliases = 1000

// errNoID is a document that cannot be told from others.
var errNoID = errors.New("an instance's document has no _id")

// EntryOf makes an entry of a document. The error is the document's
// Malformed, or tells of a missing id or of a document that is too large. Aliases
// and an old domain that can be no host are left out, since no request can ask for
// them.
func EntryOf(doc *tenancy.Instance) (Entry, error) {
	f, err := factsOf(doc)
	if err != nil {
		return Entry{}, err
	}
	return Entry{at: &chunk{buf: f.write(nil, nil)}}, nil
}

func factsOf(doc *tenancy.Instance) (*facts, error) {
	if doc.ID() == "" {
		return nil, errNoID
	}
	if err := doc.Malformed(); err != nil {
		return nil, err
	}
	f := &facts{
		id: doc.ID(), rev: doc.Rev(), domain: doc.Domain(), prefix: doc.Prefix(), oldDomain: doc.OldDomain(),
		context: doc.Text("context"), locale: doc.Locale(), uuid: doc.Text("uuid"),
		cluster: doc.Cluster(), onboarded: doc.Bool("onboarding_finished"), state: doc.State(),
	}
	if f.state == tenancy.Blocked {
		f.reason = doc.BlockingReason()
	}
	return f, f.normalize(doc.Aliases())
}

// normalize fills in the names in normal form, and checks the bounds.
func (f *facts) normalize(aliases []string) error {
	if n := len(aliases); n > maxAliases {
		return fmt.Errorf("instance document %q has %d aliases, and at most %d are taken", f.id, n, maxAliases)
	}
	f.key, _ = tenancy.HostKey(f.domain) // Malformed has looked at it
	for _, alias := range aliases {
		if key, ok := tenancy.HostKey(alias); ok && key != f.key && !slices.Contains(f.aliases, key) {
			f.aliases = append(f.aliases, key)
		}
	}
	key, ok := tenancy.HostKey(f.oldDomain)
	if !ok || key == f.key || slices.Contains(f.aliases, key) {
		key = ""
	}
	f.oldDomain = key
	if size := f.size(); size > maxRecord {
		return fmt.Errorf("instance document %.100q has %d bytes that are needed, and at most %d are taken", f.id, size, maxRecord)
	}
	return nil
}

// size is at least what write makes of it, in bytes.
func (f *facts) size() int {
	const perText, rest = 8, 64 // a length or a name's head, with what aligns it
	size := rest
	for _, s := range [...]string{
		f.id, f.rev, f.domain, f.key, f.oldDomain, f.prefix, f.context, f.locale, f.uuid, string(f.reason),
	} {
		size += len(s) + perText
	}
	for _, alias := range f.aliases {
		size += len(alias) + perText
	}
	return size
}

// facts are those of an entry that is written down.
func (e Entry) facts() *facts {
	return &facts{
		id: e.ID(), rev: e.Rev(), domain: e.Domain(), key: e.Key(), aliases: e.Aliases(), oldDomain: e.OldDomain(),
		prefix: e.Prefix(), context: e.Context(), locale: e.Locale(), uuid: e.UUID(),
		cluster: e.Cluster(), onboarded: e.Onboarded(), state: e.State(), reason: e.Reason(),
	}
}
