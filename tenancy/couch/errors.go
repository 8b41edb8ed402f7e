// Errors: what a store answered, as sentinels.

package couch

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-kivik/kivik/v4"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Sentinels, to be compared with errors.Is. An error of a store that cannot be
// reached, or fails, is a tenancy.ErrUnavailable.
var (
	ErrNotFound = errors.New("no such document or database")                   // 404
	ErrConflict = errors.New("conflict: another revision")                     // 409
	ErrRefused  = errors.New("the store refused the request")                  // 400, 413 and their kin
	ErrMissing  = errors.New("the store does not offer this")                  // 501
	ErrDenied   = errors.New("the store denies access with these credentials") // 401, 403
)

// statusCancelled is a call that its caller gave up: nobody's failure, and none
// of the sentinels. (The number is nginx's for a client that went away.)
const statusCancelled = 499

// Error is a failed call: what was asked of which database, and the answer.
type Error struct {
	Op       string // as in "put", "create database"
	Database string
	ID       string // of a document; may be empty
	Status   int    // HTTP status of the answer; without one 500 and above, or 499 for a call given up
	Err      error
}

// Error says all of it in one line, without credentials.
func (e *Error) Error() string {
	where := e.Database
	if e.ID != "" {
		where += "/" + e.ID
	}
	return fmt.Sprintf("%s %s: %v", e.Op, where, e.Err)
}

// Unwrap gives the driver's error.
func (e *Error) Unwrap() error { return e.Err }

// Is maps the status to the sentinels.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrConflict:
		return e.Status == http.StatusConflict
	case ErrMissing:
		return e.Status == http.StatusNotImplemented
	case ErrDenied:
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	case tenancy.ErrUnavailable:
		return e.Status >= 500 && e.Status != http.StatusNotImplemented ||
			e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden ||
			e.Status == http.StatusTooManyRequests
	case ErrRefused:
		return e.Status >= 400 && e.Status < 500 && e.Status != statusCancelled &&
			!e.Is(ErrNotFound) && !e.Is(ErrConflict) && !e.Is(tenancy.ErrUnavailable)
	}
	return false
}

// wrap makes an *Error of what kivik returned; nil stays nil.
func wrap(op, db, id string, err error) error {
	if err == nil {
		return nil
	}
	status := kivik.HTTPStatus(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		status = http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		status = statusCancelled
	}
	return &Error{Op: op, Database: db, ID: id, Status: status, Err: err}
}
