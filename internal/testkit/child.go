// Child: a program that runs for a test and never longer than it.

package testkit

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// guard runs a program, and kills it at the end of standard input: that is at the
// latest when the process of the test ends, however that ends. The shell waits for
// both, so that it leaves no zombies.
const guard = `exec 3<&0
"$@" </dev/null 3<&- & child=$!
(read -r line; kill -9 $child) <&3 >/dev/null 2>&1 & watcher=$!
exec 3<&-
wait $child; status=$?
kill -9 $watcher 2>/dev/null; wait $watcher 2>/dev/null
exit $status`

// child is a running program.
type child struct {
	name    string
	logName string
	alive   io.Closer     // its end ends the program
	done    chan struct{} // closed when the program has ended
}

// startChild runs a program with its output in a file in the folder. The output
// is a file because the program can be told to end while nobody reads.
func startChild(folder, program string, env []string, args ...string) (*child, error) {
	name := filepath.Base(program)
	c := &child{name: name, logName: filepath.Join(folder, name+".txt"), done: make(chan struct{})}
	output, err := os.Create(c.logName)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd := exec.Command("sh", append([]string{"-c", guard, "guard", program}, args...)...)
	cmd.Dir = folder
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = output, output
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c.alive = alive
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(c.done)
		_ = cmd.Wait() // what went wrong is in its output
	}()
	return c, nil
}

// stop kills the program and waits for its end.
func (c *child) stop() {
	_ = c.alive.Close() // it may have ended by itself, which closes it too
	<-c.done
}

// ended tells whether the program has ended.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// portTaken tells whether the program has found another on its port.
func (c *child) portTaken() bool {
	return bytes.Contains(c.said(), []byte("address already in use"))
}

// said is the program's output so far.
func (c *child) said() []byte {
	said, err := os.ReadFile(c.logName)
	if err != nil {
		return []byte(err.Error())
	}
	return said
}
