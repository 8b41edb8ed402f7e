// Group: how a child is bound to this program, on Linux.

package proc

import "syscall"

// ownGroup gets SIGTERM at our death and not SIGKILL, since nginx's master process
// would leave its workers behind.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
