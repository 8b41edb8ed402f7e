// Errors: what can be wrong with a value, a key or a lock.

package certstore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Sentinels, to be compared with errors.Is. A key that has no value is an
// fs.ErrNotExist, a store that does not answer a tenancy.ErrUnavailable.
var (
	// ErrNoKey: without an encryption key nothing is stored, since values are
	// private keys of other people's domains.
	ErrNoKey = errors.New("there is no encryption key, and private keys are not stored in clear; make one with\n\topenssl rand -base64 32")
	// ErrBadKey: a text that is no encryption key.
	ErrBadKey = errors.New("the encryption key is not 32 bytes in base64 or hexadecimal; make one with\n\topenssl rand -base64 32")
	// ErrUnknownKey: a value was sealed with a key that is not configured.
	ErrUnknownKey = errors.New("sealed with an encryption key that is not configured")
	// ErrTampered: a value is not what was sealed under its name.
	ErrTampered = errors.New("the sealed value was changed, or belongs to another name")
	// ErrTooLarge: a value of more than MaxValue bytes, or a key of more than MaxKey.
	ErrTooLarge = errors.New("too large")
	// ErrContended: others have written the same value again and again meanwhile.
	ErrContended = errors.New("others keep writing this value")
	// ErrNotHeld: a lock that this Store does not hold. It is an fs.ErrNotExist too,
	// as certmagic's FileStorage has it.
	ErrNotHeld error = &lockError{"the lock is not held"}
	// ErrLost: a lock that this Store did hold, and that another has taken over. It
	// is an fs.ErrNotExist too.
	ErrLost error = &lockError{"the lock was lost to another process"}
	// ErrClosed: the Store was closed.
	ErrClosed = errors.New("the certificate store is closed")
)

// lockError is a lock that is not there to be released.
type lockError struct{ text string }

func (e *lockError) Error() string { return e.text }
func (e *lockError) Unwrap() error { return fs.ErrNotExist }

// SealError is a value that cannot be opened: with which key it was sealed, and
// which there are. It holds no secret.
type SealError struct {
	KeyID string   // of the key that the value names
	Known []string // ids of the configured keys, the current one first
	Err   error    // ErrUnknownKey or ErrTampered
}

// Error says which key is missing, and what to write.
func (e *SealError) Error() string {
	if errors.Is(e.Err, ErrUnknownKey) {
		return fmt.Sprintf("%v: it is key %s, and there are: %s; give it as an old_encryption_key", e.Err, e.KeyID, strings.Join(e.Known, ", "))
	}
	return fmt.Sprintf("%v (key %s)", e.Err, e.KeyID)
}

// Unwrap gives the sentinel.
func (e *SealError) Unwrap() error { return e.Err }

// notExist is the error for a key without a value.
func notExist(op, key string) error {
	return &fs.PathError{Op: op, Path: key, Err: fs.ErrNotExist}
}
