// What an operator is told.

package admin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// TestDescribeUnavailable: the store is blamed where it does not answer, and not for what
// says by itself what is the matter.
func TestDescribeUnavailable(t *testing.T) {
	t.Parallel()
	const again = "this was not done, or only in part; it can be tried again: "
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("get database global/instances: %w", tenancy.ErrUnavailable), "the store does not answer, so " + again + "get database"},
		{fmt.Errorf("destroy: %w", tenancy.Unavailablef("the directory is being loaded")), again + "destroy: the directory is being loaded"},
	} {
		if got := describe(c.err); got.status != http.StatusServiceUnavailable || !strings.HasPrefix(got.detail, c.want) {
			t.Errorf("%v is %d %q, want %q", c.err, got.status, got.detail, c.want)
		}
	}
}
