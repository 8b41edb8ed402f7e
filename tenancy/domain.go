// Domain: the one normal form of an instance's name, and the strict rules for
// names that are written.

package tenancy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Lengths of RFC 1035 section 2.3.4, in bytes of the A-label form.
const (
	maxNameLength  = 253
	maxLabelLength = 63
)

// illegal are the characters that a cozy-stack refuses in a domain; the strict
// profile refuses them too, but this way the answer says which one it was.
const illegal = " /,;&?#@|='\"\t\r\n\x00"

// strict is UTS #46 with non-transitional processing, for names that are
// written: letters, digits and hyphens after mapping, labels that are valid
// under IDNA 2008, the Bidi rule of RFC 5893 and the lengths of DNS.
var strict = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.BidiRule(),
	idna.CheckJoiners(true),
	idna.CheckHyphens(false),
	idna.StrictDomainName(true),
	idna.VerifyDNSLength(true),
)

// Domain is a valid name of an instance, perhaps with a port. The zero value
// is no domain. Domains that are the same host compare equal with ==.
type Domain struct {
	ascii   string // A-labels, lower case, no trailing dot
	unicode string // the same name as people write it
	port    string // digits, or empty
}

// ParseDomain reads a domain as somebody types it: mapped and validated by
// UTS #46, with an optional port. A *FieldError for the field `domain` that is
// an ErrIllegalDomain says what is wrong with any other string.
func ParseDomain(s string) (Domain, error) { return ParseDomainField("domain", s) }

// ParseDomainField is ParseDomain for a field of another name.
func ParseDomainField(field, s string) (Domain, error) {
	refuse := func(format string, args ...any) (Domain, error) {
		return Domain{}, &FieldError{
			Field:   field,
			Problem: fmt.Sprintf(format, args...),
			Allowed: "a host name of letters, digits, hyphens and dots, with an optional port, as in alice.example.com or alice.localhost:8080",
			Err:     ErrIllegalDomain,
		}
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return refuse("is empty")
	}
	if len(s) > 4*maxNameLength { // a bound for the mapping, not the rule
		return refuse("is longer than %d bytes", maxNameLength)
	}
	if i := strings.IndexAny(s, illegal); i >= 0 {
		return refuse("holds the illegal character %q", s[i])
	}
	name, port, hasPort := strings.Cut(s, ":")
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '0' || port[0] == '+' {
			return refuse("has a bad port, which is a number from 1 to 65535")
		}
	}
	ascii, err := strict.ToASCII(name)
	if err != nil || ascii == "" {
		return refuse("is not a valid host name%s", lengthHint(name, ascii))
	}
	ascii = strings.TrimSuffix(ascii, ".")
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if label == "" {
			return refuse("has an empty label")
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return refuse("has a label that begins or ends with a hyphen")
		}
	}
	if _, err := netip.ParseAddr(ascii); err == nil || allDigits(labels[len(labels)-1]) {
		return refuse("is an address, not a name")
	}
	unicode, err := strict.ToUnicode(ascii)
	if err != nil {
		return refuse("is not a valid host name")
	}
	return Domain{ascii: ascii, unicode: unicode, port: port}, nil
}

// lengthHint tells the commonest reason behind idna's refusal.
func lengthHint(name, ascii string) string {
	if len(ascii) > maxNameLength || len(name) > maxNameLength {
		return fmt.Sprintf(": it is longer than %d bytes", maxNameLength)
	}
	for _, label := range strings.Split(ascii, ".") {
		if len(label) > maxLabelLength {
			return fmt.Sprintf(": a label is longer than %d bytes", maxLabelLength)
		}
	}
	return ""
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Key is the normal form: A-labels, lower case, no trailing dot, and the port
// where the domain has one. It is the key of the directory and the id of a claim.
func (d Domain) Key() string { return d.ascii + d.colonPort() }

// String is the form that the instance's document has: Unicode, lower case,
// with the port.
func (d Domain) String() string { return d.unicode + d.colonPort() }

// Host is the normal form without the port, as certificates and DNS have it.
func (d Domain) Host() string { return d.ascii }

// Port is the port's digits, or empty.
func (d Domain) Port() string { return d.port }

// IsZero tells whether this is no domain at all.
func (d Domain) IsZero() bool { return d.ascii == "" }

// FirstLabel is the first label in Unicode form.
func (d Domain) FirstLabel() string {
	label, _, _ := strings.Cut(d.unicode, ".")
	return label
}

// Parent is the normal form without the first label, with the port; empty
// where there is only one label.
func (d Domain) Parent() string {
	_, rest, found := strings.Cut(d.ascii, ".")
	if !found {
		return ""
	}
	return rest + d.colonPort()
}

func (d Domain) colonPort() string {
	if d.port == "" {
		return ""
	}
	return ":" + d.port
}

// Prefix names the databases of an instance made with this domain: "cozy" and
// the first 32 hexadecimal digits of the SHA-256 of the domain in its
// document's form. An instance keeps its prefix for life.
func (d Domain) Prefix() string {
	sum := sha256.Sum256([]byte(d.String()))
	return "cozy" + hex.EncodeToString(sum[:16])
}
