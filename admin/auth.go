// Auth: the administrator's passphrase, by basic auth.

package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// maxPassphrase is bcrypt's own limit, in bytes.
const maxPassphrase = 72

// authenticator holds passphrases against a bcrypt hash. It remembers a digest
// of the last good pair, since bcrypt is slow on purpose, and each call of a
// script would pay for it. At most one comparison runs at a time, so that wrong
// guesses cannot take the machine.
type authenticator struct {
	mu   sync.Mutex
	good [sha256.Size]byte
	any  bool
}

// allowed tells whether the request has the passphrase. The user name is not
// looked at: a cozy-stack's command line leaves it empty.
func (a *authenticator) allowed(r *http.Request, hash string) bool {
	_, passphrase, ok := r.BasicAuth()
	if !ok || hash == "" || len(passphrase) > maxPassphrase {
		return false
	}
	digest := sha256.Sum256([]byte(hash + "\x00" + passphrase))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.any && subtle.ConstantTimeCompare(digest[:], a.good[:]) == 1 {
		return true
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(passphrase)) != nil {
		return false
	}
	a.good, a.any = digest, true
	return true
}
