// Errors: why an app is not installed.

package apps

import (
	"errors"
	"strings"
)

var (
	// ErrNoFiles: there is nowhere to write an app's files to.
	ErrNoFiles = errors.New("`files` is not configured, and an app without its files is not installed")
	// ErrNoRegistry: the instance's context has no registries.
	ErrNoRegistry = errors.New("no `registry` is configured for the instance's context")
	// ErrUnknown: no registry knows the app, or this version of it.
	ErrUnknown = errors.New("no registry knows it")
	// ErrChecksum: the tarball is another than the one that the registry tells of.
	ErrChecksum = errors.New("the tarball's checksum is not the registry's")
	// ErrTooLarge: something is beyond a limit.
	ErrTooLarge = errors.New("too large")
	// ErrTarball: the tarball is broken, or holds what no app may.
	ErrTarball = errors.New("the tarball is refused")
	// ErrManifest: the registry's answer, or the manifest in it, is not one.
	ErrManifest = errors.New("the registry's answer is refused")
	// ErrAddress: a URL that is not gone to.
	ErrAddress = errors.New("the address is refused")
	// ErrSlow: a registry, or a tarball, took too long.
	ErrSlow = errors.New("took too long")
)

// Error is why an app is not installed, in one line without a secret.
type Error struct {
	App string // its slug
	Err error
}

func (e *Error) Error() string { return oneLine(e.App + ": " + e.Err.Error()) }
func (e *Error) Unwrap() error { return e.Err }

// oneLine takes the lines out of a text, such as that of joined errors, and
// bounds it: what a server says is in some of them.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "") + "…"
	}
	return s
}

const maxError = 1000 // bytes
