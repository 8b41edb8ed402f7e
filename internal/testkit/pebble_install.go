// Install of Pebble: Let's Encrypt's test CA, built once from the Go module proxy.

package testkit

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// pebbleVersion is in a file because `make deps` reads it too.
//
//go:embed pebble/version
var pebbleVersion string

const pebbleModule = "github.com/letsencrypt/pebble/v2/cmd/"

// The programs of Pebble that the kit runs.
const (
	pebbleProgram = "pebble"
	dnsProgram    = "pebble-challtestsrv"
)

// pebbleFolder is the folder with Pebble's programs. They are not in go.mod: what
// the front door is built from has no test CA in it. It is what `make deps` does,
// for whoever runs plain `go test`.
var pebbleFolder = sync.OnceValues(func() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	home := filepath.Join(root, "internal", "testkit", "pebble")
	version := strings.TrimSpace(pebbleVersion)
	folder := filepath.Join(home, "bin", version)
	unlock, err := lockFile(filepath.Join(home, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("the tests of ACME build Let's Encrypt's Pebble: put the go command in the PATH, or run `make deps`")
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", err
	}
	// The folder gets its name when all of it is there: a build that was cut off, or
	// one of a `make deps` beside this one, is not taken for it.
	scratch, err := os.MkdirTemp(filepath.Dir(folder), ".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	args := []string{"install", pebbleModule + pebbleProgram + "@" + version, pebbleModule + dnsProgram + "@" + version}
	cmd := exec.CommandContext(ctx, goTool, args...)
	// Without C, since a tool of the tests needs no compiler of its own.
	cmd.Env = append(os.Environ(), "GOBIN="+scratch, "CGO_ENABLED=0", "GOFLAGS=", "GOOS=", "GOARCH=")
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("`go %s`, for Let's Encrypt's test CA: %w\n%s", strings.Join(args, " "), err, out)
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(scratch, folder); err != nil {
		if _, there := os.Stat(folder); there == nil {
			return folder, nil
		}
		return "", err
	}
	return folder, nil
})
