// Tests with other processes: a writer that is killed, and one that holds the lock.

package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	kivik "github.com/go-kivik/kivik/v4"

	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

// child is what the test binary does as a child process.
func child(role, path string) int {
	store := embedded.New(path)
	client := store.Client()
	ctx := context.Background()
	if err := client.CreateDB(ctx, "db"); err != nil && kivik.HTTPStatus(err) != 412 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch role {
	case "hold":
		fmt.Println("held")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent closes it
		return 0
	case "write":
		var out sync.Mutex
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for {
					id, rev, err := client.DB("db").CreateDoc(ctx, map[string]any{"domain": "x", "pad": strings.Repeat("p", rand.IntN(2000))})
					if err != nil {
						fmt.Fprintln(os.Stderr, err)
						return
					}
					out.Lock()
					fmt.Println(id, rev) // one write call: a kill does not split it
					out.Unlock()
				}
			})
		}
		writers.Wait()
	}
	return 1
}

func startChild(t *testing.T, role, path string) (cmd *exec.Cmd, lines *bufio.Scanner, stop func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+role, childEnv+"_PATH="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			_ = in.Close()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	t.Cleanup(stop)
	return cmd, bufio.NewScanner(out), stop
}

// What was acknowledged survives a kill at any moment, and no sequence comes twice.
func TestKilledWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	random := rand.New(rand.NewPCG(1, 2))
	acknowledged, seqs := map[string]string{}, map[string]string{}
	since := ""
	for round := range 6 {
		cmd, lines, stop := startChild(t, "write", path)
		stopAfter := 1 + random.IntN(120)
		for n := 0; lines.Scan(); n++ {
			id, rev, ok := strings.Cut(lines.Text(), " ")
			if !ok {
				break // cut off
			}
			acknowledged[id] = rev
			if n == stopAfter {
				_ = cmd.Process.Kill() // and read on: what it printed before counts
			}
		}
		stop()

		store := embedded.New(path)
		db := store.Client().DB("db")
		rows, _ := list(t, db.AllDocs(t.Context()))
		found := map[string]bool{}
		for _, r := range rows {
			found[r.id] = true
		}
		for id, rev := range acknowledged {
			if !found[id] {
				t.Errorf("round %d: the acknowledged document %s is gone", round, id)
			} else if got, err := db.GetRev(t.Context(), id); got != rev || err != nil {
				t.Errorf("round %d: %s is %s, %v, and %s was acknowledged", round, id, got, err, rev)
			}
		}
		s := stats(t, db)
		all, meta := changes(t, db)
		if int(s.DocCount) != len(rows) || len(all) != len(rows) || meta.LastSeq != s.UpdateSeq {
			t.Errorf("round %d: %d rows, %d changes, doc_count %d, last_seq %s, update_seq %s", round, len(rows), len(all), s.DocCount, meta.LastSeq, s.UpdateSeq)
		}
		for _, c := range all { // no document is ever written again
			if id, known := seqs[c.seq]; known && id != c.id {
				t.Errorf("round %d: sequence %s was that of %s, and is that of %s", round, c.seq, id, c.id)
			}
			seqs[c.seq] = c.id
		}
		newer, _ := changes(t, db, kivik.Param("since", since))
		if since != "" && len(newer) == 0 {
			t.Errorf("round %d: nothing since %s", round, since)
		}
		since = meta.LastSeq
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) < 20 {
		t.Errorf("only %d documents were acknowledged", len(acknowledged))
	}
}

// Another process has the file: all who ask are told within one lock timeout, and
// the next use tries again.
func TestLockedByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	_, lines, stop := startChild(t, "hold", path)
	if !lines.Scan() {
		t.Fatal("the child did not start")
	}
	store := embedded.New(path)
	defer store.Close() //nolint:errcheck // it is closed for the goroutines' sake
	client := store.Client()
	began := time.Now()
	var users sync.WaitGroup
	for range 20 {
		users.Go(func() {
			_, err := client.AllDBs(t.Context())
			wantStatus(t, err, 503, "the store "+path+" is in use by another process; stop it, or give this one a store of its own")
			if !errors.Is(err, embedded.ErrLocked) {
				t.Errorf("%v is not ErrLocked", err)
			}
		})
	}
	users.Wait()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("20 users waited %v", took)
	}

	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began = time.Now()
	if _, err := client.AllDBs(impatient); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: %v", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("a deadline of 50 ms took %v", took)
	}
	if up, err := client.Ping(t.Context()); up || !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("Ping: %v, %v", up, err)
	}

	stop()
	if names, err := client.AllDBs(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("after the other process ended: %v, %v", names, err)
	}
}
