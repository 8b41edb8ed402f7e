// Process: a program that runs until it is stopped, and never longer than this one.

package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopTime is how long a program may take to end by itself.
const stopTime = 5 * time.Second

// Command says what to run.
type Command struct {
	Name    string // for people, and of the file with its output
	Program string
	Args    []string
	Dir     string // its working folder, where its output goes too
	Env     []string
}

// Process is a program that has been started.
type Process struct {
	name, log string
	cmd       *exec.Cmd
	done      chan struct{}
}

// Start runs a program in a process group of its own, so that a Ctrl-C meets only
// this program, which then stops the others. Should this program be killed, the
// kernel ends them (prctl(2), PR_SET_PDEATHSIG).
func Start(c Command) (*Process, error) {
	p := &Process{name: c.Name, log: filepath.Join(c.Dir, c.Name+".log"), done: make(chan struct{})}
	output, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	p.cmd = exec.Command(c.Program, c.Args...)
	p.cmd.Dir, p.cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.SysProcAttr = ownGroup()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // what went wrong is in its output
		p.kill()         // its children, should it have left some
	}()
	return p, nil
}

// PID is the id of the process, and of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the program to end, and kills what is left of it and of its children then.
// It may be called more than once.
func (p *Process) Stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(stopTime):
		p.kill()
		<-p.done
	}
}

// kill ends the whole group, which may have nobody any more.
func (p *Process) kill() { _ = syscall.Kill(-p.PID(), syscall.SIGKILL) }

// Await tries until ready is content, the program has ended, or ctx has.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s has ended; it said:\n%s", p.name, p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; it said:\n%s", p.name, errors.Join(err, ctx.Err()), p.said())
		}
	}
}

// said is the end of the program's output.
func (p *Process) said() []byte {
	said, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return said[max(0, len(said)-2000):]
}
