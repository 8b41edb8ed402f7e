// Hosts: which names are to have a certificate.

package certificates

import (
	"context"
	"iter"
	"strings"

	"github.com/caddyserver/certmagic"
)

// Owner is the instance behind a name.
type Owner struct {
	Instance string // the id of its document
	Parent   string // of the host of an app, the instance's name that it stands under; else empty
	Slug     string // of the host of an app
	Deleting bool
}

// Hosts is the directory, as far as certificates go. Names are in normal form and
// without a port. Owner answers from memory.
type Hosts interface {
	// Owner finds the instance that has a name: by domain, alias, old domain, or the
	// host of an app.
	Owner(name string) (Owner, bool)
	// Names are those of all instances, but for the hosts of apps.
	Names() iter.Seq2[string, Owner]
	// Quarantined tells whether a name is kept from others for a time.
	Quarantined(name string) bool
	// Installed tells whether the host of an app may have a certificate: the app is
	// installed, or listed. It may ask the store.
	Installed(ctx context.Context, app Owner) (bool, error)
	// Loaded tells whether the directory has what the store has of the whole fleet.
	Loaded() bool
	// Gone asks the store whether nobody has, claims or keeps a name any more. It is
	// asked before anything is removed, since what the directory does not know may be
	// what was lost.
	Gone(ctx context.Context, rec *Record) (bool, error)
}

// qualifies tells whether a certificate can be ordered for a name: no address, no
// single label, nothing that a wildcard covers. It does not allocate, as certmagic's own
// would.
func (s *Settings) qualifies(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case last == name, strings.ContainsAny(name, ":*"), strings.Trim(last, "0123456789") == "", s.Covers(name):
		return false
	case s.Public && private(name):
		return false
	default:
		return certmagic.SubjectQualifiesForCert(name)
	}
}

// privates are the ends of names that no public authority issues for; as in
// certmagic.SubjectIsInternal.
var privates = []string{".localhost", ".local", ".internal", ".home.arpa"}

func private(name string) bool {
	for _, end := range privates {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// Covers tells whether a configured wildcard has a name.
func (s *Settings) Covers(name string) bool { return Covered(s.Wildcards, name) }

// Covered tells whether a wildcard, as *.example.com, has a name. A wildcard stands for
// one label; RFC 9525, section 6.3. It does not allocate.
func Covered(wildcards []string, name string) bool {
	_, parent, ok := strings.Cut(name, ".")
	if !ok {
		return false
	}
	for _, wildcard := range wildcards {
		if rest, ok := strings.CutPrefix(wildcard, "*."); ok && rest == parent {
			return true
		}
	}
	return false
}
