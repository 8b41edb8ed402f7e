//go:build unix

// Alive: whether a kept connection has been closed, or has said something unasked.

package proxy

import "syscall"

// peek looks at the socket without waiting, and takes nothing from it. A socket that has
// nothing to read and is open is the only good one.
func (c *conn) peek(fd uintptr) {
	var b [1]byte
	for {
		_, err := recvPeek(int(fd), b[:])
		if err == syscall.EINTR {
			continue
		}
		c.silent = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return
	}
}
