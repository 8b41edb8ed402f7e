// Other systems: nothing is measured there, and all of it builds.

//go:build !linux

package proc

import (
	"errors"
	"syscall"
	"time"
)

var errLinux = errors.New("the CPU time and memory of other processes are measured on Linux alone")

func ownGroup() *syscall.SysProcAttr { return nil }

// CPU is not known here.
func CPU(...int) (time.Duration, error) { return 0, errLinux }

// Family is not known here.
func Family(int) ([]int, error) { return nil, errLinux }

// Memory is not known here.
func Memory(int) (int64, error) { return 0, errLinux }

// Watch is not possible here.
func Watch(int) (stop func() int64) { return func() int64 { return 0 } }
