// Processes that fight for a lock, and are killed.

package certstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/certstore"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// What a child process is told by its environment.
const (
	childURL    = "CERTSTORE_TEST_URL"
	childDB     = "CERTSTORE_TEST_DATABASE"
	childFolder = "CERTSTORE_TEST_FOLDER"
	childHolds  = "CERTSTORE_TEST_HOLDS" // it keeps the lock that it gets
)

// childLease is long beside what a busy machine can be late.
const childLease = 5 * time.Second

// child takes the lock again and again, until it is killed or its input ends. Within
// it, it says so in a line, and holds a lock of the system that ends with the process.
func child() int {
	if err := fight(); err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	return 0
}

func fight() error {
	cluster, err := couch.Open(couch.Config{URLs: []string{os.Getenv(childURL)}})
	if err != nil {
		return err
	}
	k, err := certstore.ParseKey(keyText(1))
	if err != nil {
		return err
	}
	ring, err := certstore.NewRing(k)
	if err != nil {
		return err
	}
	s, err := certstore.New(certstore.Options{
		Cluster: cluster, Database: os.Getenv(childDB), Ring: ring, Lease: childLease, Times: certstore.Times{Poll: 20 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // it ends with the parent
		cancel()
	}()
	for ctx.Err() == nil {
		if err := s.Lock(ctx, "fight"); err != nil {
			if ctx.Err() != nil {
				break
			}
			return err
		}
		if err := inside(ctx); err != nil {
			return err
		}
		if err := s.Unlock(ctx, "fight"); err != nil {
			return err
		}
	}
	return errors.Join(s.Close(), cluster.Close())
}

// inside is the critical section: an error where another process is in it.
func inside(ctx context.Context) error {
	file, err := os.OpenFile(filepath.Join(os.Getenv(childFolder), "inside"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("two processes have the lock: %w", err)
	}
	fmt.Println("inside")
	if os.Getenv(childHolds) != "" {
		<-ctx.Done()
	}
	return nil
}

// fighter is a child process.
type fighter struct {
	cmd   *exec.Cmd
	said  chan string
	input interface{ Close() error }
}

func startFighter(t *testing.T, url, db, folder string, holds bool) *fighter {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url, childDB+"="+db, childFolder+"="+folder)
	if holds {
		cmd.Env = append(cmd.Env, childHolds+"=1")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	f := &fighter{cmd: cmd, said: make(chan string, 100_000), input: in}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			f.said <- lines.Text()
		}
		close(f.said)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		_ = cmd.Wait() // the status of a killed process
		for line := range f.said {
			if strings.HasPrefix(line, "failed") {
				t.Error(line)
			}
		}
	})
	return f
}

// enters waits until the process is in the critical section.
func (f *fighter) enters(t *testing.T) {
	t.Helper()
	select {
	case line, ok := <-f.said:
		if !ok || line != "inside" {
			t.Fatalf("the process said %q", line)
		}
	case <-time.After(time.Minute):
		t.Fatal("the process has not got the lock")
	}
}

// kill ends it without a chance to clean up.
func (f *fighter) kill(t *testing.T) {
	t.Helper()
	must(t, f.cmd.Process.Signal(syscall.SIGKILL))
	_, _ = f.cmd.Process.Wait() // the status of a killed process
}

// TestProcesses: of several processes one has the lock at a time, and when one dies
// in the middle, another has it after the lease.
func TestProcesses(t *testing.T) {
	t.Parallel()
	store := testkit.PouchDBStore(t)
	url, db, folder := testkit.SharedPouchDB(t).URL(), store.DB("certificates"), t.TempDir()
	holder := startFighter(t, url, db, folder, true)
	holder.enters(t)
	a, b := startFighter(t, url, db, folder, false), startFighter(t, url, db, folder, false)
	// While the holder lives, nobody else gets it, for longer than the lease.
	select {
	case line := <-a.said:
		t.Fatalf("a process beside the holder: %q", line)
	case line := <-b.said:
		t.Fatalf("a process beside the holder: %q", line)
	case <-time.After(childLease + childLease/2):
	}
	died := time.Now()
	holder.kill(t)
	select {
	case <-a.said:
	case <-b.said:
	case <-time.After(time.Minute):
		t.Fatal("nobody took the lock over")
	}
	// The last renewal was up to a third of the lease before.
	if took := time.Since(died); took < childLease/2 {
		t.Errorf("taken over %s after the death of the holder, with a lease of %s", took, childLease)
	} else {
		t.Logf("taken over after %s, with a lease of %s", took, childLease)
	}
	// Then they fight, and are killed wherever they are.
	for range 2 {
		a.enters(t)
		b.enters(t)
		a.kill(t)
		a = startFighter(t, url, db, folder, false)
		b.enters(t)
		a.enters(t)
	}
	// An orderly end leaves nothing.
	_ = a.input.Close()
	_ = b.input.Close()
	wait(t, "the lock is gone", func() error {
		if _, err := store.Cluster.Get(t.Context(), db, "lock/fight"); !errors.Is(err, couch.ErrNotFound) {
			return errNotYet
		}
		return nil
	})
}
