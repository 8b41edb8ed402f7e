// Local: a directory as the makers of changes on its node see it.

package directory

import (
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Local is a directory that is asked about changes: what has a name, and with what a
// new one would be confused.
type Local struct {
	*Directory
	Mode func() Mode // of the present configuration
}

// Find is the document id of the instance with this domain or alias, by normal form.
// An app's host finds none: a change names an instance itself.
func (l Local) Find(key string) (id string, ok bool) {
	m, ok := l.Resolve(key, Off)
	if !ok || m.By == ByOldDomain {
		return "", false
	}
	return m.Entry.ID(), true
}

// Ambiguous names an existing instance with which a new domain could be confused.
func (l Local) Ambiguous(d tenancy.Domain) (with string, ambiguous bool) {
	a, ambiguous := l.Directory.Ambiguous(d.Key(), l.Mode())
	if !ambiguous {
		return "", false
	}
	return strings.Clone(a.Entry.Domain()), true
}
