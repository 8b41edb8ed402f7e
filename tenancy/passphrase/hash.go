// Hash: the string in `passphrase_hash`, made and checked.

package passphrase

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// Parameters of scrypt in the hashes that are made here: 32 MiB and some 80 ms.
const (
	scryptN     = 32768
	scryptR     = 8
	scryptP     = 1
	scryptSalt  = 16 // bytes
	scryptBytes = 32
)

// Bounds of the parameters in the hashes that are read: a record must not make
// a check cost more than 256 MiB.
const (
	maxScryptMemory = 256 << 20 // of 128·N·r bytes
	maxScryptP      = 16
	maxScryptHex    = 128 // digits of the salt, and of the key
)

// ErrHash: a stored hash is not of the form scrypt$N$r$p$HEX$HEX, or its
// parameters are out of bounds.
var ErrHash = errors.New("the stored passphrase hash is not of a known form")

// hash makes the string of a client's hash, with a new salt.
func hash(hashed string, random io.Reader) ([]byte, error) {
	salt := make([]byte, scryptSalt)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, fmt.Errorf("a salt: %w", err)
	}
	key, err := scrypt.Key([]byte(hashed), salt, scryptN, scryptR, scryptP, scryptBytes)
	if err != nil {
		return nil, fmt.Errorf("hashing a passphrase: %w", err)
	}
	return fmt.Appendf(nil, "scrypt$%d$%d$%d$%x$%x", scryptN, scryptR, scryptP, salt, key), nil
}

// Check tells whether a stored hash, which is what stands in base64 in
// `passphrase_hash`, is that of a client's hash (see Input.ClientHash). It
// compares in constant time. The error is ErrHash.
func Check(hash []byte, hashed string) (ok bool, err error) {
	parts := strings.Split(string(hash), "$")
	if len(parts) != 6 || parts[0] != "scrypt" || len(parts[4]) > maxScryptHex || len(parts[5]) > maxScryptHex {
		return false, ErrHash
	}
	var n, r, p int
	for i, into := range []*int{&n, &r, &p} {
		v, err := strconv.ParseUint(parts[1+i], 10, 28)
		if err != nil || v == 0 {
			return false, ErrHash
		}
		*into = int(v)
	}
	salt, err := hex.DecodeString(parts[4])
	if err != nil || len(salt) == 0 {
		return false, ErrHash
	}
	want, err := hex.DecodeString(parts[5])
	if err != nil || len(want) < scryptSalt { // a shorter one would match by chance
		return false, ErrHash
	}
	if p > maxScryptP || int64(n) > int64(maxScryptMemory)/128/int64(r) {
		return false, ErrHash
	}
	got, err := scrypt.Key([]byte(hashed), salt, n, r, p, len(want))
	if err != nil { // N is no power of 2
		return false, ErrHash
	}
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}
