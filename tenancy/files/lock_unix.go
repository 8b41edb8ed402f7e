// The lock that tells a folder in use from one that a dead process left.

//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package files

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock of an open folder, if nobody has it. It ends with the
// folder's Close, and with the process. known is false where the file system has
// no such locks.
func lock(folder *os.File) (locked, known bool) {
	conn, err := folder.SyscallConn()
	if err != nil {
		return false, false
	}
	failed := conn.Control(func(fd uintptr) {
		err = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if failed != nil {
		return false, false
	}
	return err == nil, err == nil || errors.Is(err, syscall.EWOULDBLOCK)
}
