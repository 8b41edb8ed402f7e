// The command, against a running API.

package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/gatehouse-edge/gatehouse/admin"
)

// ran is what a command has done.
type ran struct {
	out, err string
	code     int
}

// lockedBuffer is a buffer that may be read while a command writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// command runs `instances args` against an API.
func command(ctx context.Context, address, stdin string, args ...string) ran {
	var out, errs lockedBuffer
	code := commandTo(ctx, address, stdin, &out, &errs, args...)
	return ran{out.String(), errs.String(), code}
}

func commandTo(ctx context.Context, address, stdin string, out, errs *lockedBuffer, args ...string) int {
	cmd := admin.NewCommand()
	cmd.SetArgs(append([]string{"--address", address}, args...))
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(out)
	cmd.SetErr(errs)
	return admin.CodeOf(cmd.ExecuteContext(ctx))
}

// newDiscarding is a command whose output is not kept.
func newDiscarding(address string, args ...string) *cobra.Command {
	cmd := admin.NewCommand()
	cmd.SetArgs(append([]string{"--address", address}, args...))
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	return cmd
}

// cli runs a command that has to end with a code.
func (a *api) cli(code int, args ...string) ran {
	a.t.Helper()
	return a.cliWith(code, "", args...)
}

func (a *api) cliWith(code int, stdin string, args ...string) ran {
	a.t.Helper()
	r := command(a.t.Context(), a.url, stdin, args...)
	if r.code != code {
		a.t.Fatalf("instances %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.err)
	}
	return r
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: there is no %q in\n%s", what, part, text)
		}
	}
}

func TestAddCommand(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	r := a.cli(0, "add", "alice.example.com", "--locale", "fr", "--org-domain", "example.com", "--tos-latest", "1.0.0-20240131",
		"--auth-mode", "two_factor_mail", "--auto-update=false", "--from-cloudery", "--magic_link")
	contains(t, "add", r.out, "Instance created with success for domain alice.example.com\n", "Registration token: \"",
		"Define your password by visiting https://alice.example.com/?registerToken=")
	got := a.must(200, "GET", "/instances/alice.example.com", "").document(t).Data.Attributes
	for name, want := range map[string]any{
		"locale": "fr", "org_domain": "example.com", "tos_latest": "1.0.0-20240131", "auth_mode": 1.0, "no_auto_update": true, "magic_link": true,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	a.cli(4, "add", "alice.example.com")
	a.cli(2, "add", "a/b")
	a.cli(2, "add")
	a.cli(2, "add", "bob.example.com", "--disk-quota", "much")
	a.cli(2, "add", "bob.example.com", "--apps", "drive") // there are no files to install to
	a.cli(2, "add", "bob.example.com", "--prompt-passphrase")
	a.cli(2, "add", "bob.example.com", "--passphrase", "x", "--passphrase-file", "-")
	a.cli(2, "add", "bob.example.com", "--passphrase", "")
	a.cli(2, "add", "bob.example.com", "--passphrase-file", filepath.Join(t.TempDir(), "none"))
	a.cliWith(2, strings.Repeat("x", 5000), "add", "bob.example.com", "--passphrase-file", "-")
	a.cli(3, "show", "bob.example.com")
}

// TestPassphraseWays: in the command line, from a file and from standard input;
// at an add and after it.
func TestPassphraseWays(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := a.cli(0, "add", "alice.example.com", "--passphrase-file", file, "--kdf-iterations", "50000")
	if strings.Contains(r.out, "token") {
		t.Errorf("one with a passphrase has a link: %s", r.out)
	}
	hash := func() string {
		inst, err := a.app.cycle.Get(t.Context(), "alice.example.com")
		if err != nil || !inst.Bool("password_defined") || !inst.Bool("onboarding_finished") {
			t.Fatalf("there is no passphrase (%v)", err)
		}
		return inst.Text("passphrase_hash") + inst.Text("session_secret")
	}
	last := hash()
	for _, c := range []struct {
		stdin string
		args  []string
	}{
		{"battery staple\r\n", []string{"--passphrase-file", "-"}},
		{"", []string{"--passphrase-file", file}},
		{"", []string{"Tr0ub4dor&3"}},
	} {
		r := a.cliWith(0, c.stdin, append([]string{"set-passphrase", "alice.example.com", "--kdf-iterations", "50000"}, c.args...)...)
		contains(t, "set-passphrase", r.out, "Passphrase has been changed for instance alice.example.com")
		now := hash()
		if now == last {
			t.Errorf("%v changes nothing", c.args)
		}
		last = now
	}
	a.cli(2, "set-passphrase", "alice.example.com") // nobody can be asked here
	a.cli(2, "set-passphrase", "alice.example.com", "x", "--passphrase-file", "-")
	a.cli(3, "set-passphrase", "nobody.example.com", "long enough")
	a.cli(2, "set-passphrase", "alice.example.com", "long enough", "--kdf-iterations", "7")
}

func TestModifyCommand(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.cli(0, "add", "alice.example.com")
	rev := a.must(200, "GET", "/instances/alice.example.com", "").document(t).Data.Meta["rev"]
	r := a.cli(0, "modify", "alice.example.com", "--locale", "fr", "--email", "a@example.com", "--dry-run")
	contains(t, "dry run", r.out, "- locale: en\n+ locale: fr\n", "+ ", "a@example.com")
	if strings.Contains(r.out, "\x1b") {
		t.Errorf("colours without a terminal: %q", r.out)
	}
	var differences []map[string]any
	r = a.cli(0, "modify", "alice.example.com", "--locale", "fr", "--dry-run", "--json")
	if err := json.Unmarshal([]byte(r.out), &differences); err != nil || len(differences) != 1 || differences[0]["new"] != "fr" {
		t.Errorf("dry run as JSON: %s (%v)", r.out, err)
	}
	if now := a.must(200, "GET", "/instances/alice.example.com", "").document(t).Data.Meta["rev"]; now != rev {
		t.Errorf("a dry run changes the document")
	}
	contains(t, "nothing", a.cli(0, "modify", "alice.example.com", "--locale", "en", "--dry-run").out, "Nothing of alice.example.com")
	a.cli(4, "modify", "alice.example.com", "--locale", "de", "--if-rev", "1-0123")
	a.cli(0, "modify", "alice.example.com", "--locale", "de", "--if-rev", rev)
	a.cli(4, "modify", "alice.example.com", "--locale", "fr", "--if-rev", rev)
	contains(t, "blocked", a.cli(0, "modify", "alice.example.com", "--blocked", "--blocking-reason", "PAYMENT_FAILED").out, "blocked, PAYMENT_FAILED")
	a.cli(2, "modify", "alice.example.com")
	a.cli(2, "modify", "alice.example.com", "--force", "--blocked")
	a.cli(2, "modify", "--all", "alice.example.com", "--blocked")
	a.cli(3, "modify", "nobody.example.com", "--blocked")
}

func TestModifyMany(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		context := "trial"
		if name == "d" {
			context = "paid"
		}
		a.cli(0, "add", name+".example.com", "--context-name", context)
	}
	blocked := func() string {
		return a.cli(0, "ls", "--filter", "state=blocked", "--sort", "domain", "--fields", "domain").out
	}
	modify := []string{"modify", "--all", "--filter", "context=trial", "--blocked"}
	r := a.cliWith(1, "4\n", modify...)
	contains(t, "a wrong number", r.err, "This modifies 3 instances", "aborted")
	r = a.cli(0, append(modify, "--dry-run")...)
	contains(t, "a dry run", r.out, "a.example.com: blocked: true", "c.example.com: blocked: true")
	if got := blocked(); got != "" {
		t.Errorf("before: %q", got)
	}
	r = a.cliWith(0, "3\n", modify...)
	contains(t, "the right number", r.out, "a.example.com: modified\n", "b.example.com: modified\n", "c.example.com: modified\n")
	if got := blocked(); got != "a.example.com\nb.example.com\nc.example.com\n" {
		t.Errorf("after: %q", got)
	}
	r = a.cli(0, "modify", "--all", "--filter", "state=blocked", "--blocked=false", "--force", "--json", "--concurrency", "2")
	if lines := strings.Split(strings.TrimSpace(r.out), "\n"); len(lines) != 3 || !strings.Contains(lines[0], `"outcome":"modified"`) {
		t.Errorf("as JSON: %s", r.out)
	}
	if got := blocked(); got != "" {
		t.Errorf("unblocked: %q", got)
	}
	a.cli(3, "modify", "--all", "--filter", "state=blocked", "--blocked", "--force")
	a.cli(2, "modify", "--all", "--filter", "colour=red", "--blocked", "--force")
	a.cli(2, "modify", "--all", "--filter", "state=asleep", "--blocked", "--force")
	a.cli(2, "modify", "--all", "--force", "--locale", "not a language")
	a.cli(2, "modify", "--all", "--force", "--locale", "fr", "--concurrency", "17")
}

func TestDestroyCommand(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.cli(0, "add", "alice.example.com")
	a.cli(2, "destroy", "alice.example.com", "--quarantine", "soon", "--force")
	a.cliWith(1, "bob.example.com\n", "destroy", "alice.example.com")
	contains(t, "destroy", a.cliWith(0, "alice.example.com\n", "destroy", "alice.example.com", "--quarantine", "30d").out, "destroyed with success")
	contains(t, "in quarantine", a.cli(4, "add", "alice.example.com").err, "alice.example.com")
	contains(t, "quarantine ls", a.cli(0, "quarantine", "ls").out, "name", "alice.example.com")
	contains(t, "quarantine as JSON", a.cli(0, "quarantine", "ls", "--json").out, `"name":"alice.example.com"`)
	a.cli(3, "quarantine", "lift", "bob.example.com")
	a.cli(0, "quarantine", "lift", "alice.example.com")
	a.cli(0, "add", "alice.example.com")
	a.cli(2, "quarantine", "lower")
}
