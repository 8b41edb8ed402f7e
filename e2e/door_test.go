// A front door under test: its configuration, its process, and asking it.

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of these tests; it says nothing of how fast things are.
const patience = 60 * time.Second

// door is a front door, running or not.
type door struct {
	t     testing.TB
	dir   string // its folder: configuration, data, and Caddy's own files
	store string // lines of the tenancy option

	admin, http, https, upstream int

	cmd *exec.Cmd
	log *syncBuffer
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newDoor makes the folder of a front door with a store, and starts nothing.
func newDoor(t testing.TB, store string) *door {
	t.Helper()
	ports := freePorts(t, 4)
	d := &door{
		t: t, dir: t.TempDir(), store: store,
		admin: ports[0], http: ports[1], https: ports[2], upstream: ports[3],
	}
	d.configure("")
	return d
}

// freePorts finds ports that nobody listens on.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	var open []net.Listener
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, l)
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	for _, l := range open {
		l.Close()
	}
	return ports
}

// configure writes the Caddyfile, with further lines for the handler.
func (d *door) configure(handler string) {
	d.t.Helper()
	config := fmt.Sprintf(`{
	http_port %d
	https_port %d
	skip_install_trust
	auto_https disable_redirects
	admin localhost:%d
	grace_period 5s
	metrics
	tenancy {
		%s
	}
	on_demand_tls {
		permission tenancy
	}
}
http://, https:// {
	tls internal {
		on_demand
	}
	tenancy {
		%s
	}
	reverse_proxy 127.0.0.1:%d {
		header_up X-Gatehouse-Domain {http.tenancy.domain}
		header_up X-Gatehouse-Prefix {http.tenancy.prefix}
		header_up X-Gatehouse-Slug {http.tenancy.slug}
	}
}
http://:%d {
	bind 127.0.0.1
	respond "domain={header.X-Gatehouse-Domain} prefix={header.X-Gatehouse-Prefix} slug={header.X-Gatehouse-Slug} uri={uri}"
}
`, d.http, d.https, d.admin, d.store, handler, d.upstream, d.upstream)
	d.write("Caddyfile", config)
}

func (d *door) write(name, content string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// command prepares the binary with arguments, in the door's folder and with
// Caddy's files there too.
func (d *door) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "HOME="+d.dir, "XDG_DATA_HOME="+filepath.Join(d.dir, "share"), "XDG_CONFIG_HOME="+filepath.Join(d.dir, "config"))
	return cmd
}

// start runs the front door and waits until its API answers.
func (d *door) start() {
	d.t.Helper()
	d.log = new(syncBuffer)
	d.cmd = d.command(context.Background(), "run", "--config", "Caddyfile")
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	// It must not outlive a test that is ended from outside.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	cmd := d.cmd
	d.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if d.t.Failed() {
			d.t.Logf("the log of the front door:\n%s", tail(d.log.String(), 60))
		}
		if strings.Contains(d.log.String(), "DATA RACE") {
			d.t.Errorf("a data race in the front door:\n%s", d.log.String())
		}
	})
	d.wait("the API answers", func() error {
		_, _, code := d.try("instances", "status")
		if code != 0 {
			return fmt.Errorf("status exits with %d", code)
		}
		return nil
	})
}

// startReady starts and waits until there is a directory.
func (d *door) startReady() {
	d.t.Helper()
	d.start()
	d.wait("there is a directory", func() error {
		if s := d.status(); !s.Directory.Ready {
			return fmt.Errorf("the directory is %s", s.Directory.State)
		}
		return nil
	})
}

// kill ends the process as a crash would.
func (d *door) kill() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

// stop ends the process as an operator would.
func (d *door) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	_ = d.cmd.Wait()
}

func tail(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// wait tries until check is content.
func (d *door) wait(what string, check func() error) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			d.t.Fatalf("waiting until %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// try runs a command against this front door.
func (d *door) try(args ...string) (stdout, stderr string, code int) {
	return d.tryWith("", args...)
}

// tryWith is try with something typed.
func (d *door) tryWith(stdin string, args ...string) (stdout, stderr string, code int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if args[0] == "instances" {
		args = append(args, "--address", fmt.Sprintf("localhost:%d", d.admin))
	}
	cmd := d.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		code = -1
		errs.WriteString(err.Error())
	}
	return out.String(), errs.String(), code
}

// run is try for what has to succeed.
func (d *door) run(args ...string) string {
	d.t.Helper()
	stdout, stderr, code := d.try(args...)
	if code != 0 {
		d.t.Fatalf("%v exits with %d: %s%s", args, code, stdout, stderr)
	}
	return stdout
}

type status struct {
	Directory struct {
		State      string  `json:"state"`
		Ready      bool    `json:"ready"`
		Instances  int     `json:"instances"`
		Loads      int     `json:"loads"`
		AgeSeconds float64 `json:"age_seconds"`
	} `json:"directory"`
}

func (d *door) status() (s status) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.run("instances", "status", "--json")), &s); err != nil {
		d.t.Fatal(err)
	}
	return s
}

// answer is what a visitor gets.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks the front door for a path of a host.
func (d *door) get(host, path string, headers ...string) (answer, error) {
	return fetch(plain, fmt.Sprintf("http://127.0.0.1:%d%s", d.http, path), host, headers...)
}

// mustGet is get for what has to be answered.
func (d *door) mustGet(host, path string, headers ...string) answer {
	d.t.Helper()
	a, err := d.get(host, path, headers...)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

// plain does not follow redirects, and keeps connections.
var plain = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 32},
}

func fetch(client *http.Client, url, host string, headers ...string) (answer, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	req.Host = host
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

// tls is a client that trusts this front door's local authority alone, and finds
// every host here.
func (d *door) tls() *http.Client {
	d.t.Helper()
	root, err := os.ReadFile(filepath.Join(d.dir, "share", "caddy", "pki", "authorities", "local", "root.crt"))
	if err != nil {
		d.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		d.t.Fatal("no root certificate")
	}
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", d.https))
		},
		ForceAttemptHTTP2: true,
	}}
}
