// Body: the client's body, as net/http sends it on.

package proxy

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http/httpguts"
)

// requestBody reads a request's body, for one goroutine.
type requestBody struct {
	client  *http.Request
	to      *sender
	read    bool        // once
	trailer http.Header // what is sent after it
	left    int64       // of a known length; -1 for an unknown one
	err     error       // what reading ended with, other than its end
	whole   atomic.Bool // it was read to its end
}

// Read implements io.Reader. A trailer is there at the end.
func (b *requestBody) Read(p []byte) (int, error) {
	// What was sent before must not wait for what the client sends next.
	if b.read || b.left < 0 || b.left > gathered {
		if err := b.to.Flush(true); err != nil {
			return 0, err
		}
		defer b.to.read()
	} else {
		defer b.to.waits()()
	}
	b.read = true
	n, err := b.client.Body.Read(p)
	if b.left >= 0 {
		b.left -= int64(n)
	}
	switch {
	case err == io.EOF:
		for name, values := range b.client.Trailer {
			if trails(name) {
				b.trailer[name] = slices.Clone(values)
			}
		}
		b.whole.Store(true)
	case err != nil:
		b.err = err
	case b.left == 0:
		b.whole.Store(true)
	}
	return n, err
}

// Close implements io.Closer. The body is net/http's server's to close.
func (b *requestBody) Close() error { return nil }

// trails tells whether a field may stand in a trailer: RFC 9110, section 6.5.1. What
// frames, routes or authenticates does not, nor what upstreams believe of us.
func trails(name string) bool {
	if !httpguts.ValidTrailerHeader(name) {
		return false
	}
	name = strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name)) // as some servers have it
	return !strings.HasPrefix(name, "x-forwarded-") && !strings.HasPrefix(name, "x-gatehouse-")
}
