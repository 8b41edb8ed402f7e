// Ring: the encryption keys, the current one and those before it.

package certstore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// keySize is that of AES-256, in bytes.
const keySize = 32

// What keys are derived for: the sealing, and the id.
const (
	purposeSeal = "gatehouse certstore 1 aes-256-gcm"
	purposeID   = "gatehouse certstore 1 key id"
)

// Key is an encryption key. It does not keep what it was made of, and prints as
// its id.
type Key struct {
	id   string
	aead cipher.AEAD
}

// ParseKey reads a key of 32 bytes, in base64 of either alphabet, padded or not,
// or in hexadecimal; space around it is left out. Anything else is an ErrBadKey.
func ParseKey(text string) (*Key, error) {
	secret, ok := decodeKey(strings.TrimSpace(text))
	if !ok {
		return nil, ErrBadKey
	}
	if same(secret) {
		return nil, fmt.Errorf("%w (it is one byte, again and again)", ErrBadKey)
	}
	sealing, err := hkdf.Key(sha256.New, secret, nil, purposeSeal, keySize)
	if err != nil {
		return nil, err
	}
	id, err := hkdf.Key(sha256.New, secret, nil, purposeID, 8)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Key{id: hex.EncodeToString(id), aead: aead}, nil
}

func decodeKey(text string) ([]byte, bool) {
	if len(text) == 2*keySize {
		secret, err := hex.DecodeString(text)
		return secret, err == nil
	}
	text = strings.TrimRight(text, "=")
	for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if secret, err := alphabet.DecodeString(text); err == nil && len(secret) == keySize && !strings.ContainsAny(text, "\r\n") {
			return secret, true
		}
	}
	return nil, false
}

func same(secret []byte) bool {
	for _, b := range secret {
		if b != secret[0] {
			return false
		}
	}
	return true
}

// ID names the key: 16 hexadecimal digits, which say nothing of it.
func (k *Key) ID() string { return k.id }

// String is the id.
func (k *Key) String() string { return "key " + k.id }

// GoString is the id too, so that %#v shows no more.
func (k *Key) GoString() string { return k.String() }

// MarshalText gives the id.
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Ring is the keys of a store: one that seals, and any number that only open. It
// does not change.
type Ring struct {
	current *Key
	keys    map[string]*Key
	ids     []string
}

// NewRing makes a ring. A key that is given twice counts once.
func NewRing(current *Key, older ...*Key) (*Ring, error) {
	if current == nil {
		return nil, ErrNoKey
	}
	r := &Ring{current: current, keys: map[string]*Key{}}
	for _, k := range append([]*Key{current}, older...) {
		if k != nil && r.keys[k.id] == nil {
			r.keys[k.id] = k
			r.ids = append(r.ids, k.id)
		}
	}
	return r, nil
}

// Current is the id of the key that seals.
func (r *Ring) Current() string { return r.current.id }

// IDs are those of all keys, the current one first.
func (r *Ring) IDs() []string { return append([]string(nil), r.ids...) }

// String is the ids.
func (r *Ring) String() string { return "keys " + strings.Join(r.ids, ", ") }

// GoString is the ids too, so that %#v shows no more.
func (r *Ring) GoString() string { return r.String() }

// MarshalText gives the ids.
func (r *Ring) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// seal seals text with the current key: the nonce, then what GCM makes.
func (r *Ring) seal(nonce, text, context []byte) []byte {
	return r.current.aead.Seal(nonce, nonce, text, context)
}

// open opens what a key of the ring has sealed; a *SealError otherwise.
func (r *Ring) open(id string, sealed, context []byte) ([]byte, error) {
	k := r.keys[id]
	if k == nil {
		return nil, &SealError{KeyID: id, Known: r.IDs(), Err: ErrUnknownKey}
	}
	n := k.aead.NonceSize()
	if len(sealed) < n {
		return nil, &SealError{KeyID: id, Known: r.IDs(), Err: ErrTampered}
	}
	text, err := k.aead.Open(nil, sealed[:n], sealed[n:], context)
	if err != nil {
		return nil, &SealError{KeyID: id, Known: r.IDs(), Err: ErrTampered}
	}
	return text, nil
}
