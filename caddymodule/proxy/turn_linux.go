//go:build linux && !386 && !s390x

// Turn, on Linux: the request is sent and its answer waited for in one go.

package proxy

import (
	"syscall"
	"unsafe"
)

// sendWhole sends a request. Go's Read asks the socket before it waits, in vain right after a
// request; sent from within the wait, what follows is the answer.
func (c *conn) sendWhole(request []byte) error {
	if c.sys == nil || c.secure != nil || len(request) == 0 {
		return c.writeAll(request)
	}
	c.turnBytes, c.turnSent, c.turnDone, c.turnError = request, 0, false, 0
	_ = c.sys.Read(c.turn) // where the wait failed, so does the read
	c.turnBytes = nil
	if c.turnError != 0 {
		return c.turnError
	}
	if c.turnSent < len(request) {
		return c.writeAll(request[c.turnSent:])
	}
	return nil
}

// takeTurn is called once before the wait, which it has begun unless it gives true, and
// once after it. The socket does not block, so the scheduler need not know.
func (c *conn) takeTurn(fd uintptr) bool {
	if c.turnDone {
		return true
	}
	c.turnDone = true
	b := c.turnBytes
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		c.turnSent = int(n)
	case syscall.EAGAIN, syscall.EINTR:
	default:
		c.turnError = errno
	}
	return c.turnSent < len(b)
}
