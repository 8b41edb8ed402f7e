// Bed: what all proxies of a run share.

package peer

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/fixture"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
)

// startTime bounds the start of a proxy, with a million instances too.
const startTime = 3 * time.Minute

// Bed is where proxies run.
type Bed struct {
	Folder    string // of this run
	Cache     string // of all runs
	Gatehouse string // binaries
	Caddy     string
	Cert      *fixture.Certificate
	Say       func(format string, args ...any)
}

// Running is a started program.
type Running struct {
	*proc.Process
	HTTP, HTTPS int // ports; 0 where there is none
	Admin       int
	config      string // a Caddyfile, with a verb for the grace period; for one goroutine
	changes     int
}

// Address is that of a port on loopback.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// CPU is what the program and its children have used so far.
func (r *Running) CPU() (time.Duration, error) {
	pids, err := proc.Family(r.PID())
	if err != nil {
		return 0, err
	}
	return proc.CPU(pids...)
}

// Stop ends the program; nothing happens where there is none.
func (r *Running) Stop() {
	if r != nil {
		r.Process.Stop()
	}
}

// start runs a program in a folder of its own, and waits until its ports answer.
func (b *Bed) start(ctx context.Context, c proc.Command, ports ...int) (*Running, error) {
	p, err := proc.Start(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	err = p.Await(ctx, func(ctx context.Context) error {
		for _, port := range ports {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", Address(port))
			if err != nil {
				return err
			}
			_ = conn.Close() // nothing was sent
		}
		return nil
	})
	if err != nil {
		p.Stop()
		return nil, err
	}
	return &Running{Process: p}, nil
}

// place makes a folder with a file in it.
func (b *Bed) place(name, file, content string) (folder string, err error) {
	folder, err = os.MkdirTemp(b.Folder, name+"-")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("configuring %s: %w", name, err)
	}
	return folder, nil
}
