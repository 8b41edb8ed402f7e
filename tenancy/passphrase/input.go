// Input: a passphrase as it is asked for, and what is refused of it.

package passphrase

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Bounds of the rounds of PBKDF2 by which a client slows down guessing.
const (
	DefaultKDFIterations = 650_000
	MinKDFIterations     = 50_000
	MaxKDFIterations     = 5_000_000
)

// MaxLength bounds a passphrase, in bytes.
const MaxLength = 1024

// maxKeyLength bounds each key that a client made, in bytes; the private key
// of an RSA-4096 pair, encrypted and in base64, has some 3,300.
const maxKeyLength = 8 << 10

// Input is a passphrase to set. It prints as "[redacted]", and so does its
// JSON, as long as it does not stand in an unexported field, where package fmt
// asks no method.
type Input struct {
	// Domain is the instance's, in the document's form, with its port; OldDomain
	// is the one before, which wins as salt where it is set, since the owner's
	// clients know the instance by it.
	Domain, OldDomain string

	// Passphrase is in the clear, or hashed by the client where KDFIterations and
	// Key are both given.
	Passphrase string

	// KDFIterations are the client's rounds of PBKDF2; 0 means DefaultKDFIterations.
	KDFIterations int

	// Key is the vault's key, encrypted by the client. Without KDFIterations it
	// has no meaning, and a new one is made.
	Key string

	// PublicKey and PrivateKey are the client's own pair, the private one
	// encrypted under the vault's key. They are kept where Passphrase is hashed,
	// both or none, and made anew where it is in the clear.
	PublicKey, PrivateKey string
}

// Hashed tells whether the client hashed the passphrase already.
func (in Input) Hashed() bool { return in.KDFIterations != 0 && in.Key != "" }

// iterations are the rounds with the default filled in.
func (in Input) iterations() int {
	if in.KDFIterations == 0 {
		return DefaultKDFIterations
	}
	return in.KDFIterations
}

// Validate refuses what New would refuse, without its cost: a
// *tenancy.FieldError for the parameter as the admin API names it, which
// never repeats a value.
func (in Input) Validate() error {
	switch n := len(in.Passphrase); {
	case n == 0:
		return refuse("Passphrase", "is empty", "1 to 1024 bytes")
	case n > MaxLength:
		return refuse("Passphrase", "is too long", "1 to 1024 bytes")
	case !utf8.ValidString(in.Passphrase):
		return refuse("Passphrase", "is not UTF-8", "")
	}
	if n := in.KDFIterations; n != 0 && (n < MinKDFIterations || n > MaxKDFIterations) {
		return refuse("KdfIterations", "is out of range", fmt.Sprintf("%d to %d, or 0 for %d", MinKDFIterations, MaxKDFIterations, DefaultKDFIterations))
	}
	if host(in.Domain) == "" && host(in.OldDomain) == "" {
		return refuse("Domain", "is empty", "the domain in the instance's document")
	}
	if !in.Hashed() {
		return nil
	}
	for _, key := range []struct{ field, value string }{
		{"Key", in.Key}, {"PublicKey", in.PublicKey}, {"PrivateKey", in.PrivateKey},
	} {
		if len(key.value) > maxKeyLength {
			return refuse(key.field, "is too long", fmt.Sprintf("%d bytes", maxKeyLength))
		}
		if strings.ContainsFunc(key.value, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) }) {
			return refuse(key.field, "has characters that no key has", "base64, dots and bars")
		}
	}
	if (in.PublicKey == "") != (in.PrivateKey == "") {
		return refuse("PublicKey", "is a pair with PrivateKey", "both of them, or none")
	}
	return nil
}

func refuse(field, problem, allowed string) error {
	return &tenancy.FieldError{Field: field, Problem: problem, Allowed: allowed}
}

// host is a domain without its port.
func host(domain string) string {
	name, _, _ := strings.Cut(domain, ":")
	return name
}
