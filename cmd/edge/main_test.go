package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/xcaddy"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "xcaddy.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	path := write(t, `{
		"os": "linux", "arch": "arm64", "caddy_version": "v2.11.9",
		"plugins": [{"module_path": "example.com/a", "version": "v1.2.3"}],
		"replacements": [
			{"old": "example.com/a", "new": "."},
			{"old": "example.com/b", "new": "../b"},
			{"old": "example.com/c v1.0.0", "new": "example.com/fork v1.0.1"},
			{"old": "example.com/d", "new": "/src/d"}
		],
		"embed_dir": [{"dir": "site", "name": "site"}]
	}`)
	b, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(path)
	for i, want := range []string{folder, filepath.Join(filepath.Dir(folder), "b"), "example.com/fork v1.0.1", "/src/d"} {
		if got := b.Replacements[i].New.String(); got != want {
			t.Errorf("replacement %d is %q, want %q", i+1, got, want)
		}
	}
	if b.OS != "linux" || b.Arch != "arm64" || b.CaddyVersion != "v2.11.9" || b.Plugins[0].String() != "example.com/a@v1.2.3" || b.EmbedDirs[0].Dir != filepath.Join(folder, "site") {
		t.Errorf("%+v", b)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"unknown key":            {"{\n\t\"caddy_version\": \"v2.11.9\",\n\t\"plugin\": []\n}", `xcaddy.json:3: "plugin" is not known to xcaddy`},
		"unknown key of plugin":  {`{"plugins": [{"module": "example.com/a"}]}`, `xcaddy.json:1: "module" is not known to xcaddy`},
		"wrong type":             {"{\n\"plugins\": \"example.com/a\"\n}", "xcaddy.json:2: "},
		"no JSON":                {"{\n\"plugins\": [\n}", "xcaddy.json:3: "},
		"something behind":       {"{}\n{}", "xcaddy.json:2: something follows the object"},
		"plugin without a path":  {`{"plugins": [{"version": "v1.0.0"}]}`, "plugin 1 has no module_path"},
		"replacement by nothing": {`{"replacements": [{"old": "example.com/a"}]}`, "replacement 1 has no old or no new"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(write(t, c.content)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestRepository reads what `make xcaddy` builds.
func TestRepository(t *testing.T) {
	b, err := load("../../xcaddy.json")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	own := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(mod)
	caddy := regexp.MustCompile(`caddyserver/caddy/v2 (v\S+)`).FindSubmatch(mod)
	if own == nil || caddy == nil {
		t.Fatal("go.mod cannot be read")
	}
	if b.CaddyVersion != string(caddy[1]) {
		t.Errorf("xcaddy.json has Caddy %s, and go.mod %s", b.CaddyVersion, caddy[1])
	}
	if len(b.Plugins) == 0 || b.Plugins[0].PackagePath != string(own[1]) || b.Replacements[0].Old.String() != string(own[1]) || b.Replacements[0].New.String() != root {
		t.Errorf("this checkout is not what is built: %+v", b)
	}
}

func TestRun(t *testing.T) {
	good := write(t, `{"caddy_version": "v2.11.9", "plugins": [{"module_path": "example.com/a"}]}`)
	for name, c := range map[string]struct {
		args []string
		fail error
		want int
		says string
	}{
		"done":            {[]string{"--config", good, "--output", "x"}, nil, exitDone, "building Caddy v2.11.9 with example.com/a"},
		"failed":          {[]string{"--config", good}, errors.New("no such module"), exitFailed, "the build failed: no such module"},
		"no file":         {[]string{"--config", good + ".none"}, nil, exitUsage, "no such file"},
		"bad file":        {[]string{"--config", write(t, `{"x":1}`)}, nil, exitUsage, `"x" is not known`},
		"unknown flag":    {[]string{"--configuration", good}, nil, exitUsage, "not defined"},
		"an argument":     {[]string{good}, nil, exitUsage, "is not an argument"},
		"no output":       {[]string{"--config", good, "--output", ""}, nil, exitUsage, "--output is empty"},
		"help is no fail": {[]string{"--help"}, nil, exitDone, "-output"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			got := run(t.Context(), c.args, &stderr, func(context.Context, xcaddy.Builder, string) error { return c.fail })
			if got != c.want || !strings.Contains(stderr.String(), c.says) {
				t.Errorf("exits with %d, want %d; says\n%s", got, c.want, &stderr)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	got := run(ctx, []string{"--config", write(t, "{}")}, &stderr, func(ctx context.Context, _ xcaddy.Builder, _ string) error {
		cancel()
		return ctx.Err()
	})
	if got != exitInterrupted || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exits with %d and says\n%s", got, &stderr)
	}
}
