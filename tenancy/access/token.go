// Token: its document, and the form in which a client has it.

package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Prefix begins every token, so that scanners of leaked secrets find it.
const Prefix = "gh_"

const (
	idSize      = 8  // bytes, in hex
	secretSize  = 32 // bytes, in base64url
	maxNameSize = 64
)

// Token is what is known of a token. It holds no secret.
type Token struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Role     Role       `json:"role"`
	Created  time.Time  `json:"created_at"`
	By       string     `json:"created_by,omitempty"` // who has made it
	Expires  *time.Time `json:"expires_at,omitempty"` // nil for never
	LastUsed *time.Time `json:"last_used_at,omitempty"`
}

// Expired tells whether the token is not good any more.
func (t Token) Expired(now time.Time) bool { return t.Expires != nil && !now.Before(*t.Expires) }

// document is a token in the store: its id is the token's, and its digest is the
// SHA-256 of the secret half. That is enough, since the secret is 32 random
// bytes, and no one can guess it.
type document struct {
	ID  string `json:"_id"`
	Rev string `json:"_rev,omitempty"`
	Token
	Digest []byte `json:"digest"`
}

// matches compares in constant time.
func (d *document) matches(secret string) bool {
	digest := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(digest[:], d.Digest) == 1
}

// split takes a token apart. The secret may hold the character that parts them,
// the id may not.
func split(s string) (id, secret string, ok bool) {
	rest, found := strings.CutPrefix(s, Prefix)
	if !found || len(rest) != 2*idSize+1+base64.RawURLEncoding.EncodedLen(secretSize) {
		return "", "", false
	}
	id, secret, found = strings.Cut(rest, "_")
	if !found || !isID(id) {
		return "", "", false
	}
	return id, secret, true
}

// isID tells whether s can be a token's id.
func isID(s string) bool {
	if len(s) != 2*idSize || strings.ToLower(s) != s {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

// reserved are actors of the audit that are no tokens.
var reserved = []string{"admin", "owner", "repair"}

// checkName refuses what would be misread in the audit or in a list.
func checkName(name string) error {
	bad := &tenancy.FieldError{Field: "Name", Problem: "is not a name for a token", Allowed: "1 to 64 letters, digits, dots, dashes and underscores; not admin, owner or repair"}
	if name == "" || len(name) > maxNameSize {
		return bad
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return bad
		}
	}
	for _, taken := range reserved {
		if strings.EqualFold(name, taken) {
			return bad
		}
	}
	return nil
}
