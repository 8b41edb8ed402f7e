// Material: everything that setting a passphrase stores, and New, which makes it.

package passphrase

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// sessionSecret is the length of `session_secret`, in bytes.
const sessionSecret = 64

// Material is what setting a passphrase stores. It never changes once made, is
// safe for concurrent use, and prints as "[redacted]".
type Material struct {
	// Behind a function: of a struct that holds a Material in an unexported field
	// package fmt asks no method, and follows pointers, but prints a function as
	// an address.
	secrets func() *secrets
}

type secrets struct {
	hash, session []byte
	iterations    int
	stamp         string // a UUID
	at            string // RFC 3339
	keys          keys   // public and private are empty where the client gave none
}

// New makes the material of a passphrase, at the time now.
//
// random is read for salts, secrets and the vault's key, and must be
// cryptographically secure; the RSA key is as random as the Go runtime makes it,
// whatever is handed in here. Errors are those of Input.Validate, and those of random.
//
// The vault's key cannot be carried over from the passphrase before, which
// nobody here knows: with a passphrase in the clear, New makes new key
// material, and what the vault of an instance holds under its old key is not
// readable any more. A client that knows both keeps it readable by sending
// the hash and the old key encrypted anew (Input.Key).
func New(in Input, now time.Time, random io.Reader) (*Material, error) {
	if err := in.Validate(); err != nil {
		return nil, err
	}
	master, hashed, err := in.derive()
	if err != nil {
		return nil, err
	}
	m := &secrets{
		session:    make([]byte, sessionSecret),
		iterations: in.iterations(),
		at:         now.UTC().Format(time.RFC3339Nano),
		keys:       keys{key: in.Key, public: in.PublicKey, private: in.PrivateKey},
	}
	if m.hash, err = hash(hashed, random); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(random, m.session); err != nil {
		return nil, fmt.Errorf("a session secret: %w", err)
	}
	if m.stamp, err = stamp(now, random); err != nil {
		return nil, err
	}
	if !in.Hashed() {
		if m.keys, err = newKeys(master, random); err != nil {
			return nil, err
		}
	}
	return &Material{secrets: func() *secrets { return m }}, nil
}

// Hash is the string scrypt$N$r$p$HEX$HEX, which `passphrase_hash` holds in base64.
func (m *Material) Hash() []byte { return bytes.Clone(m.secrets().hash) }

// SessionSecret is the new `session_secret`: it ends all sessions of before.
func (m *Material) SessionSecret() []byte { return bytes.Clone(m.secrets().session) }

// Apply sets the passphrase in an instance's document: the hash, the session
// secret and `password_defined`; the register token, which is for once, and the
// link by which the former passphrase could be reset, go. Whether the onboarding
// is finished is left to the caller.
func (m *Material) Apply(inst *tenancy.Instance) {
	inst.Set("passphrase_hash", base64.StdEncoding.EncodeToString(m.secrets().hash))
	inst.Set("session_secret", base64.StdEncoding.EncodeToString(m.secrets().session))
	inst.Set("password_defined", true)
	inst.Unset("register_token")
	inst.Unset("passphrase_reset_token")
	inst.Unset("passphrase_reset_time")
}
