// Bind: a command that ends with its context, with all that it has started.

package proc

import (
	"os/exec"
	"syscall"
)

// Bind puts a command of exec.CommandContext into a process group of its own, which is
// killed as a whole when the context ends: go test's own children too.
func Bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = stopTime
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
