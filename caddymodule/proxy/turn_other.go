//go:build !linux || 386 || s390x

// Turn, elsewhere.

package proxy

func (c *conn) sendWhole(request []byte) error { return c.writeAll(request) }

func (c *conn) takeTurn(uintptr) bool { return true }
