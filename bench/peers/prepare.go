// Prepare: binaries, folders, and the upstream.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/figure"
	"github.com/gatehouse-edge/gatehouse/bench/internal/fixture"
	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
)

// What is built, both in the same way.
const (
	ownPackage   = "./cmd/gatehouse"
	stockPackage = "github.com/caddyserver/caddy/v2/cmd/caddy" // at the version in go.mod
)

// prepare builds the binaries and starts the upstream; clean ends it, and removes what
// the run has left.
func prepare(ctx context.Context, quick bool, gatehouse string) (env *figure.Env, clean func(), err error) {
	for _, program := range []string{"nginx", "haproxy", "wrk"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, nil, fmt.Errorf("%w: `make bench` installs it on Debian", err)
		}
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, nil, fmt.Errorf("finding the module's folder: %w", err)
	}
	root := strings.TrimSpace(string(out))
	if root == "" {
		return nil, nil, errors.New("this folder is not in the module of Gatehouse")
	}
	cache := filepath.Join(root, "bench", ".cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, nil, err
	}
	folder, err := os.MkdirTemp(cache, "run-")
	if err != nil {
		return nil, nil, err
	}
	env = &figure.Env{Quick: quick, Root: root}
	env.Bed = &peer.Bed{
		Folder: folder, Cache: cache, Gatehouse: filepath.Join(folder, "gatehouse"), Caddy: filepath.Join(folder, "caddy"), Say: say(time.Now()),
	}
	clean = func() {
		env.Dismiss()
		env.Upstream.Stop()
		if err := os.RemoveAll(folder); err != nil {
			env.Say("cleaning up: %v", err)
		}
	}
	build := map[string]string{env.Caddy: stockPackage}
	if gatehouse == "" {
		build[env.Gatehouse] = ownPackage
	} else if env.Gatehouse, err = filepath.Abs(gatehouse); err != nil {
		clean()
		return nil, nil, err
	}
	if err := start(ctx, env, build); err != nil {
		clean()
		return nil, nil, err
	}
	return env, clean, nil
}

// start builds packages, by the names of their binaries, and starts the upstream.
func start(ctx context.Context, env *figure.Env, build map[string]string) error {
	for binary, pkg := range build {
		env.Say("building %s", pkg)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, pkg)
		proc.Bind(cmd)
		cmd.Dir = env.Root
		if said, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("building %s: %w\n%s", pkg, err, said), ctx.Err())
		}
	}
	var err error
	if env.Cert, err = fixture.MakeCertificate(env.Folder); err != nil {
		return err
	}
	env.Upstream, err = env.StartUpstream(ctx)
	return err
}

// say writes lines of progress, with the time since the start.
func say(begin time.Time) func(string, ...any) {
	return func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%7.1fs  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
}
