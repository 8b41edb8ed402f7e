// Next: what a passphrase writes into the vault's settings, kept beside them until it
// is known whether the record has the passphrase.

package passphrase

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// NextID is the id of a Next, in the database of the vault's settings.
const NextID = SettingsID + ".next"

// Next is a document with what a passphrase is to write into the vault's settings.
// The hash, in another database, decides whether it is written: an instance's
// passphrase and the keys of its vault change as one, wherever a process dies.
type Next struct {
	ID     string                     `json:"_id"`
	Rev    string                     `json:"_rev,omitempty"`
	Digest string                     `json:"hash_digest"` // hex, SHA-256 of the record's hash
	At     string                     `json:"at"`          // RFC 3339
	Fields map[string]json.RawMessage `json:"fields"`
}

// Next is the document of this material, without a revision.
func (m *Material) Next() Next {
	n := Next{ID: NextID, Digest: digest(m.secrets().hash), At: m.secrets().at, Fields: map[string]json.RawMessage{}}
	put(n.Fields, m.fields())
	return n
}

// Of tells whether it belongs to a passphrase with this hash.
func (n Next) Of(hash []byte) bool { return n.Digest == digest(hash) }

// Merge is Material.Merge with what the document holds.
func (n Next) Merge(existing json.RawMessage) (json.RawMessage, error) {
	return merge(existing, n.Fields, n.At)
}

// String keeps the keys out of logs.
func (Next) String() string { return "[redacted]" }

// GoString does so with %#v.
func (n Next) GoString() string { return n.String() }

func digest(hash []byte) string {
	sum := sha256.Sum256(hash)
	return hex.EncodeToString(sum[:])
}
