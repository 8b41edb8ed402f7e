// Errors: their texts, which users read, and what they are to errors.Is.

package tenancy_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		text string
		is   error
	}{
		{&tenancy.FieldError{Field: "DiskQuota", Problem: "is negative"}, "DiskQuota: is negative", nil},
		{&tenancy.FieldError{Field: "DiskQuota", Problem: "is negative", Allowed: "bytes"}, "DiskQuota: is negative (allowed: bytes)", nil},
		{&tenancy.FieldError{Field: "domain", Problem: "is empty", Err: tenancy.ErrIllegalDomain}, "domain: is empty", tenancy.ErrIllegalDomain},
		{tenancy.Conflictf("%s is busy", "a"), "a is busy", tenancy.ErrConflict},
		{tenancy.Existsf("%s is there", "a"), "a is there", tenancy.ErrExists},
		{tenancy.Unavailablef("cluster %d", 2), "cluster 2", tenancy.ErrUnavailable},
		{tenancy.ErrNotFound, "Instance not found", tenancy.ErrNotFound},
		{tenancy.ErrExists, "Instance already exists", tenancy.ErrExists},
		{tenancy.ErrIllegalDomain, "Domain name contains illegal characters", tenancy.ErrIllegalDomain},
	} {
		wrapped := fmt.Errorf("doing it: %w", c.err)
		if c.err.Error() != c.text {
			t.Errorf("%q, want %q", c.err, c.text)
		}
		for _, sentinel := range []error{tenancy.ErrNotFound, tenancy.ErrExists, tenancy.ErrConflict, tenancy.ErrUnavailable, tenancy.ErrIllegalDomain} {
			if got := errors.Is(wrapped, sentinel); got != (sentinel == c.is) {
				t.Errorf("%q is %q: %t", c.err, sentinel, got)
			}
		}
	}
}
