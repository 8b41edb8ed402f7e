// A front door under test: its configuration, its process, and its command.

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	site  string // lines of the site before the handler
	certs string // what the site does for HTTPS; empty for certificates of the local authority
	acme  string // global options of certificates
	proxy string // what stands behind the handler; empty for one that says what it was told
	env   []string

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

// echo is behind the handler where a test wants nothing else.
const echo = `reverse_proxy 127.0.0.1:%d {
		header_up X-Gatehouse-Domain {http.tenancy.domain}
		header_up X-Gatehouse-Prefix {http.tenancy.prefix}
		header_up X-Gatehouse-Slug {http.tenancy.slug}
	}`

// configure writes the Caddyfile, with further lines for the handler.
func (d *door) configure(handler string) {
	d.t.Helper()
	proxy := d.proxy
	if proxy == "" {
		proxy = fmt.Sprintf(echo, d.upstream)
	}
	certs := d.certs
	if certs == "" {
		certs = "tls internal {\n\t\ton_demand\n\t}"
	}
	config := fmt.Sprintf(`{
	%s
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
	%s
	%s
	tenancy {
		%s
	}
	%s
}
http://:%d {
	bind 127.0.0.1
	respond "domain={header.X-Gatehouse-Domain} prefix={header.X-Gatehouse-Prefix} slug={header.X-Gatehouse-Slug} uri={uri}"
}
`, d.acme, d.http, d.https, d.admin, d.store, certs, d.site, handler, proxy, d.upstream)
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
	cmd.Env = append(cmd.Env, d.env...)
	return cmd
}

// launch runs the front door, and waits for nothing.
func (d *door) launch() {
	d.t.Helper()
	d.log = new(syncBuffer)
	d.cmd = d.command(context.Background(), "run", "--config", "Caddyfile")
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	// It must not outlive a test that is ended from outside.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	cmd, log := d.cmd, d.log
	d.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if d.t.Failed() {
			d.t.Logf("the log of the front door:\n%s", tail(log.String(), 60))
		}
		if strings.Contains(log.String(), "DATA RACE") {
			d.t.Errorf("a data race in the front door:\n%s", log.String())
		}
	})
}

// start runs the front door and waits until its API answers.
func (d *door) start() {
	d.t.Helper()
	d.launch()
	d.answersAPI()
}

func (d *door) answersAPI() {
	d.t.Helper()
	d.wait("the API answers", func() error {
		a, err := d.call(http.MethodGet, "/tenancy/status", nil)
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
		return err
	})
}

// startReady starts and waits until there is a directory.
func (d *door) startReady() {
	d.t.Helper()
	startReady(d)
}

// startReady starts front doors side by side, and waits until each has a directory.
func startReady(doors ...*door) {
	for _, d := range doors {
		d.t.Helper()
		d.launch()
	}
	for _, d := range doors {
		d.answersAPI()
		d.wait("there is a directory", func() error {
			if s := d.status(); !s.Directory.Ready {
				return fmt.Errorf("the directory is %s", s.Directory.State)
			}
			return nil
		})
	}
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
	d.waitFor(patience, what, check)
}

// waitFor is wait with a limit of its own.
func (d *door) waitFor(limit time.Duration, what string, check func() error) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
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
	if args[0] == "instances" && !slices.Contains(args, "--address") {
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
