// Errors: what a failure has to be.

package lifecycle_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

func couchMissing(err error) bool { return errors.Is(err, couch.ErrNotFound) }

// is checks which sentinel an error is.
func is(t testing.TB, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want an error that is %q", what, err, want)
	}
}

// refused tells whether an add lost against another, in one of the two ways.
func refused(err error) bool {
	return errors.Is(err, tenancy.ErrExists) || errors.Is(err, tenancy.ErrConflict)
}

// errorsAs is errors.As as an expression.
func errorsAs[T error](err error) (T, bool) {
	var out T
	ok := errors.As(err, &out)
	return out, ok
}
