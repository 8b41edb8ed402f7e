// Errors: CouchDB's statuses and texts, and what can be wrong with the file itself.

package embedded

import (
	"errors"
	"net/http"
)

// Sentinels, to be compared with errors.Is. All three have the HTTP status 503
// for kivik.HTTPStatus.
var (
	// ErrLocked: another process, or another Store of this one, has the file.
	ErrLocked = errors.New("the store is locked")
	// ErrClosed: the Store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrNewerFormat: a newer Gatehouse wrote the file.
	ErrNewerFormat = errors.New("the store has a newer format")
)

// failure is an error with the HTTP status that kivik.HTTPStatus looks for. One
// with a status below 500 is a refusal: the operation has written nothing, so
// that the transaction it shares with others can go on.
type failure struct {
	status int
	text   string
	cause  error
}

// Error gives the text, as kivik's CouchDB driver would.
func (f *failure) Error() string { return f.text }

// HTTPStatus is the status that CouchDB answers with.
func (f *failure) HTTPStatus() int { return f.status }

// Unwrap gives the sentinel, or the error that bbolt or the system gave.
func (f *failure) Unwrap() error { return f.cause }

// answer makes the error that kivik's CouchDB driver makes of a response: the
// status's own words, then CouchDB's reason.
func answer(status int, reason string) *failure {
	return &failure{status: status, text: http.StatusText(status) + ": " + reason}
}

// Constructors for what is answered in more than one place.
func badRequest(reason string) error { return answer(http.StatusBadRequest, reason) }
func missingDoc() error              { return answer(http.StatusNotFound, "missing") }
func deletedDoc() error              { return answer(http.StatusNotFound, "deleted") }
func missingDatabase() error         { return answer(http.StatusNotFound, "Database does not exist.") }
func conflict() error                { return answer(http.StatusConflict, "Document update conflict.") }

// missingArg has the text of kivik's own drivers.
func missingArg(name string) error {
	return &failure{status: http.StatusBadRequest, text: "kivik: " + name + " required"}
}

// unsupported names what this store leaves to CouchDB.
func unsupported(what string) error {
	return &failure{
		status: http.StatusNotImplemented,
		text:   "the embedded store does not support " + what,
		cause:  errors.ErrUnsupported,
	}
}

// unavailable is an error of the store as a whole.
func unavailable(text string, cause error) error {
	return &failure{status: http.StatusServiceUnavailable, text: text, cause: cause}
}

// refused tells whether err was answered before anything was written.
func refused(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.status < http.StatusInternalServerError
}
