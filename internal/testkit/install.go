// Install: npm's packages of the PouchDB server, made ready once.

package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// installTimeout bounds the installation, with a cold cache on a slow line.
const installTimeout = 5 * time.Minute

// serverFolder is the folder with the server's package.json, ready to run. It is
// what `make deps` does, for whoever runs plain `go test`.
var serverFolder = sync.OnceValues(func() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "internal", "testkit", "pouchdb")
	if _, err := exec.LookPath("node"); err != nil {
		return "", errors.New("the tests of the store run npm's pouchdb-server: install Node.js 18 or newer (https://nodejs.org), which brings npm")
	}
	// Packages are tested side by side, and npm begins by removing the folder.
	unlock, err := lockFile(filepath.Join(folder, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if installed(folder) {
		return folder, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("the tests of the store run npm's pouchdb-server: install npm (https://nodejs.org), then run `make deps`")
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = folder
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("`npm ci --ignore-scripts` in %s, for npm's pouchdb-server: %w\n%s", folder, err, out)
	}
	return folder, nil
})

// installed tells whether npm has finished there, and with this lock file: it
// writes its own list last.
func installed(folder string) bool {
	done, err := os.Stat(filepath.Join(folder, "node_modules", ".package-lock.json"))
	if err != nil {
		return false
	}
	wanted, err := os.Stat(filepath.Join(folder, "package-lock.json"))
	return err == nil && !done.ModTime().Before(wanted.ModTime())
}

// moduleRoot is the folder of go.mod, above the folder that a test runs in.
func moduleRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("no go.mod above the folder of the test")
		}
		folder = parent
	}
}
