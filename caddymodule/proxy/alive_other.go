//go:build !unix

// Alive, elsewhere: a look that reads, for a moment.

package proxy

import (
	"errors"
	"os"
	"time"
)

// glance is how long the look takes.
const glance = time.Millisecond

// peek reads, which takes a byte only from a connection that is closed for it.
func (c *conn) peek(uintptr) {
	c.alarm = time.Time{}
	_ = c.raw.SetReadDeadline(time.Now().Add(glance))
	var b [1]byte
	n, err := c.raw.Read(b[:])
	c.silent = n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}
