// PouchDB: npm's pouchdb-server, a server with CouchDB's protocol, as a child of
// the test.

package testkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// startTimeout is how long a server may take to answer; it is one second on an
// idle machine.
const startTimeout = time.Minute

// Server is a running pouchdb-server. Stop and Start are for one goroutine.
type Server struct {
	folder  string // the npm folder
	data    string // its working directory, with its databases
	disk    bool
	discard bool // it removes its data folder itself
	port    int

	cmd   *exec.Cmd // nil while it is stopped
	alive io.Closer // the other end of its standard input
}

// Option changes a Server.
type Option func(*Server)

// OnDisk keeps databases in files, so that they are there after Stop and Start.
// It is slower, and without it a restart begins empty.
func OnDisk() Option { return func(s *Server) { s.disk = true } }

// PouchDB starts a server of the test's own, which ends with the test. A server
// that cannot be started fails the test.
func PouchDB(t testing.TB, options ...Option) *Server {
	t.Helper()
	s, err := newServer(t.TempDir(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// SharedPouchDB is the one server, in memory, of all tests of a package, which ends
// with the test binary. Its databases are told apart by their names.
func SharedPouchDB(t testing.TB) *Server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var shared = sync.OnceValues(func() (*Server, error) {
	data, err := os.MkdirTemp("", "gatehouse-pouchdb-")
	if err != nil {
		return nil, err
	}
	s, err := newServer(data, func(s *Server) { s.discard = true })
	if err != nil {
		_ = os.RemoveAll(data) // the other error says more
	}
	return s, err
})

func newServer(data string, options ...Option) (*Server, error) {
	folder, err := serverFolder()
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, data: data}
	for _, option := range options {
		option(s)
	}
	// Between the choice of a free port and its use another process can take it.
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.start(); !errors.Is(err, errPortTaken) {
			return s, err
		}
	}
	return nil, err
}

// URL is where the server answers, without a slash at the end; the same after a
// restart.
func (s *Server) URL() string { return "http://" + s.address() }

func (s *Server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Stop kills the server, as a crash would, and waits for its end.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		t.Fatal("the PouchDB server is stopped already")
	}
	s.stop()
}

func (s *Server) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	_ = s.cmd.Wait()         // the status of a killed process
	_ = s.alive.Close()
	s.cmd = nil
}

// Start runs a stopped server again, on the same port, and waits until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if s.cmd != nil {
		t.Fatal("the PouchDB server is running already")
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

var errPortTaken = errors.New("the port of the PouchDB server is taken")

func (s *Server) start() error {
	// A file, because a pipe would need a goroutine, which tests that look for
	// leaked ones would find.
	logName := filepath.Join(s.data, "output.txt")
	output, err := os.Create(logName)
	if err != nil {
		return err
	}
	defer output.Close()
	args := []string{
		"--require", filepath.Join(s.folder, "child.js"),
		filepath.Join(s.folder, "node_modules", "pouchdb-server", "bin", "pouchdb-server"),
		"--host", "127.0.0.1", "--port", strconv.Itoa(s.port),
		"--config", filepath.Join(s.data, "config.json"), "--no-stdout-logs", "--no-color",
	}
	if s.disk {
		files := filepath.Join(s.data, "databases")
		if err := os.MkdirAll(files, 0o700); err != nil {
			return err
		}
		args = append(args, "--dir", files)
	} else {
		args = append(args, "--in-memory")
	}
	cmd := exec.Command("node", args...)
	cmd.Dir = s.data
	cmd.Env = append(os.Environ(), "NODE_NO_WARNINGS=1")
	if s.discard {
		cmd.Env = append(cmd.Env, "TESTKIT_REMOVE="+s.data)
	}
	cmd.Stdout, cmd.Stderr = output, output
	alive, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting npm's pouchdb-server: %w", err)
	}
	s.cmd, s.alive = cmd, alive
	if err := s.await(logName); err != nil {
		s.stop()
		return err
	}
	return nil
}

// await waits until this server, and no other on its port, answers.
func (s *Server) await(logName string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		said, err := os.ReadFile(logName)
		if err != nil {
			return err
		}
		if bytes.Contains(said, []byte("EADDRINUSE")) || bytes.Contains(said, []byte("already in use")) {
			return errPortTaken
		}
		if bytes.Contains(said, []byte("has started on")) && s.answers(ctx, client) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("npm's pouchdb-server does not answer on %s within %s; it said:\n%s", s.address(), startTimeout, said)
		}
	}
}

func (s *Server) answers(ctx context.Context, client *http.Client) bool {
	// The list of databases, since the server opens its own at the first use.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/_all_dbs", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // its status is all that is wanted
	return resp.StatusCode == http.StatusOK
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
