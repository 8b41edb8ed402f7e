// Usage: the CPU time and the memory of a process, as Linux counts them.

package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// CPU is the time that all threads of the processes have run so far, user and
// system, also of threads that have ended. It is the kernel's own clock of a process
// (clock_getcpuclockid(3)), which counts nanoseconds where /proc/<pid>/stat has ticks
// of 10 ms.
func CPU(pids ...int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		const cpuClockSched = 2 // include/linux/posix-timers_types.h
		clock := ^uintptr(pid)<<3 | cpuClockSched
		var ts syscall.Timespec
		if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
			return 0, fmt.Errorf("the CPU clock of process %d: %w", pid, errno)
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, nil
}

// Family is a process and its children, as nginx's workers.
func Family(pid int) ([]int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	family := []int{pid}
	for _, field := range bytes.Fields(raw) {
		child, err := strconv.Atoi(string(field))
		if err != nil {
			return nil, err
		}
		family = append(family, child)
	}
	return family, nil
}

func kilobytes(status []byte, key string) (int64, error) {
	_, rest, ok := bytes.Cut(status, []byte("\n"+key))
	fields := bytes.Fields(rest[:min(len(rest), 64)])
	if !ok || len(fields) == 0 {
		return 0, fmt.Errorf("a process's status has no %s", key)
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	return n << 10, err
}
