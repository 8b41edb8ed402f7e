// Errors of the domain: what can be wrong with a change, whatever the store.

package tenancy

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels, to be compared with errors.Is. The admin API has one table from
// these to HTTP statuses.
var (
	// ErrNotFound: no instance has this domain or alias.
	ErrNotFound = errors.New("Instance not found") //nolint:staticcheck // the contract's text, answered as it is
	// ErrExists: the domain or an alias belongs to an instance already.
	ErrExists = errors.New("Instance already exists") //nolint:staticcheck // the contract's text
	// ErrConflict: the change cannot be made in the state that the instance is in.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable: the store does not answer; nothing can be said of the change.
	ErrUnavailable = errors.New("the store does not answer")
	// ErrIllegalDomain: a name that no instance can have.
	ErrIllegalDomain = errors.New("Domain name contains illegal characters") //nolint:staticcheck // the contract's text
)

// FieldError is a bad input: which field, and what is allowed there. It never
// repeats the value, which may be a secret.
type FieldError struct {
	Field   string // as the caller knows it: a parameter's or a flag's name
	Problem string // what is wrong
	Allowed string // what is allowed; may be empty
	Err     error  // a sentinel, or nil
}

// Error says the field, the problem and what is allowed, in one line.
func (e *FieldError) Error() string {
	var b strings.Builder
	b.WriteString(e.Field)
	b.WriteString(": ")
	b.WriteString(e.Problem)
	if e.Allowed != "" {
		b.WriteString(" (allowed: ")
		b.WriteString(e.Allowed)
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap gives the sentinel, so that errors.Is sees it.
func (e *FieldError) Unwrap() error { return e.Err }

// Conflictf makes an error that is an ErrConflict, with its own words.
func Conflictf(format string, args ...any) error {
	return &worded{text: fmt.Sprintf(format, args...), err: ErrConflict}
}

// Existsf makes an error that is an ErrExists and says more than that.
func Existsf(format string, args ...any) error {
	return &worded{text: fmt.Sprintf(format, args...), err: ErrExists}
}

// Unavailablef makes an error that is an ErrUnavailable, with its own words.
func Unavailablef(format string, args ...any) error {
	return &worded{text: fmt.Sprintf(format, args...), err: ErrUnavailable}
}

// OwnWords tells whether an error, or one that it wraps, says by itself what is the matter:
// it was made by Conflictf, Existsf or Unavailablef.
func OwnWords(err error) bool {
	var w *worded
	return errors.As(err, &w)
}

// worded is a sentinel with a better text than its own.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.err }
