// Derivation: from the passphrase to the client's master key and hash.

package passphrase

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// keyLength is that of AES-256, of the master key and of both halves of the
// vault's key, in bytes.
const keyLength = 32

// ClientHash is what a client sends in place of the passphrase when its owner
// signs in: the PBKDF2 of the master key, in base64. Where the client hashed
// the passphrase already, that is the passphrase itself. The errors are those
// of Validate.
func (in Input) ClientHash() (string, error) {
	if err := in.Validate(); err != nil {
		return "", err
	}
	_, hashed, err := in.derive()
	return hashed, err
}

// derive gives the master key, nil where only the client knows it, and the
// client's hash.
func (in Input) derive() (master []byte, hashed string, err error) {
	if in.Hashed() {
		return nil, in.Passphrase, nil
	}
	domain := in.Domain
	if in.OldDomain != "" {
		domain = in.OldDomain
	}
	salt := []byte("me@" + host(domain))
	master, err = pbkdf2.Key(sha256.New, in.Passphrase, salt, in.iterations(), keyLength)
	if err != nil {
		return nil, "", fmt.Errorf("deriving a master key: %w", err)
	}
	// One round with the passphrase as salt: the server never sees the master key.
	sum, err := pbkdf2.Key(sha256.New, string(master), []byte(in.Passphrase), 1, keyLength)
	if err != nil {
		return nil, "", fmt.Errorf("deriving a client's hash: %w", err)
	}
	return master, base64.StdEncoding.EncodeToString(sum), nil
}
