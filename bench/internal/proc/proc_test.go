// Processes: they end with all that they have started, and what they use is seen.

//go:build linux

package proc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	before, err := proc.CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for after := before; after == before; { // it runs, so it grows
		if after, err = proc.CPU(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	stop := proc.Watch(os.Getpid())
	now, err := proc.Memory(os.Getpid())
	if most := stop(); err != nil || now <= 0 || most <= 0 {
		t.Errorf("memory is %d, and %d at the peak: %v", now, most, err)
	}
}

// TestStop: a program that does not want to end, and has a child.
func TestStop(t *testing.T) {
	t.Parallel()
	p, err := proc.Start(proc.Command{Name: "stubborn", Program: "sh", Args: []string{"-c", "sleep 1000 & wait"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	var family []int
	err = p.Await(t.Context(), func(context.Context) (err error) {
		if family, err = proc.Family(p.PID()); err == nil && len(family) < 2 {
			err = errors.New("no child yet")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	p.Stop()
	for _, pid := range family {
		for syscall.Kill(pid, 0) == nil { // until whoever has adopted it has seen its end
			if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || bytes.Contains(raw, []byte(") Z ")) {
				break
			}
			runtime.Gosched()
		}
	}
}

// TestAwaitEnd: a program that ends is not waited for.
func TestAwaitEnd(t *testing.T) {
	t.Parallel()
	p, err := proc.Start(proc.Command{Name: "brief", Program: "true", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Await(t.Context(), func(context.Context) error { return errors.New("never") }); err == nil {
		t.Error("it is ready")
	}
}

// TestBind: a bound command ends with its context, and its children too, whose hold on
// the output Wait would otherwise wait for.
func TestBind(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "sleep 1000 & wait")
	proc.Bind(cmd)
	if _, err := cmd.CombinedOutput(); err == nil || errors.Is(err, exec.ErrWaitDelay) {
		t.Error(err)
	}
}
