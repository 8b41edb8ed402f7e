// Auth: the administrator's passphrase, held against its hash.

package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

const (
	// maxPassphrase is bcrypt's own limit, in bytes.
	maxPassphrase = 72
	// maxComparing bounds the requests that wait for a comparison.
	maxComparing = 16
)

// authenticator holds passphrases against a bcrypt hash. It remembers a digest
// of the last good pair, since bcrypt is slow on purpose, and each call of a
// script would pay for it. At most one comparison runs at a time, and few wait,
// so that wrong guesses cannot take the machine.
type authenticator struct {
	waiting chan struct{}
	one     sync.Mutex // held while comparing

	mu   sync.Mutex
	good [sha256.Size]byte
	any  bool
}

func newAuthenticator() *authenticator {
	return &authenticator{waiting: make(chan struct{}, maxComparing)}
}

// allowed tells whether the passphrase is that of the hash. busy is true where
// that cannot be told now.
func (a *authenticator) allowed(passphrase, hash string) (ok, busy bool) {
	if hash == "" || passphrase == "" || len(passphrase) > maxPassphrase {
		return false, false
	}
	digest := sha256.Sum256([]byte(hash + "\x00" + passphrase))
	if a.known(digest) {
		return true, false
	}
	select {
	case a.waiting <- struct{}{}:
		defer func() { <-a.waiting }()
	default:
		return false, true
	}
	a.one.Lock()
	defer a.one.Unlock()
	if a.known(digest) { // another request with it was here before
		return true, false
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(passphrase)) != nil {
		return false, false
	}
	a.mu.Lock()
	a.good, a.any = digest, true
	a.mu.Unlock()
	return true, false
}

// knows tells whether the passphrase was right before, without comparing.
func (a *authenticator) knows(passphrase, hash string) bool {
	return hash != "" && a.known(sha256.Sum256([]byte(hash+"\x00"+passphrase)))
}

func (a *authenticator) known(digest [sha256.Size]byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.any && subtle.ConstantTimeCompare(digest[:], a.good[:]) == 1
}
