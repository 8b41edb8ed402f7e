// Gatehouse: with reverse_proxy behind its handler, and proxying by itself, in one
// process and on one directory.

package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/fixture"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
)

// Door is a running Gatehouse.
type Door struct {
	*Running
	Tenants               int
	ProxyHTTP, ProxyHTTPS int           // of `tenancy { proxy … }`; 0 where the binary has no such option
	Loaded                time.Duration // from the start until the directory was ready
}

// gatehouseGlobals are the app's options.
const gatehouseGlobals = `	tenancy {
		store %s
		snapshot %s
		certificates {
			wildcard *.` + fixture.Zone + `
		}
	}
`

// withReverseProxy is the handler before Caddy's own, as Caddyfile.example has it.
const withReverseProxy = `	tenancy
	reverse_proxy 127.0.0.1:%d {
		header_up X-Gatehouse-Domain {http.tenancy.domain}
		header_up X-Gatehouse-Prefix {http.tenancy.prefix}
		header_up X-Gatehouse-Slug {http.tenancy.slug}
		header_up X-Gatehouse-Context {http.tenancy.context}
	}
`

// withProxy is the handler that proxies by itself.
const withProxy = `	tenancy {
		proxy 127.0.0.1:%d
	}
`

// HasProxy tells whether the binary knows `tenancy { proxy … }`.
func (b *Bed) HasProxy(ctx context.Context) bool {
	folder, err := b.place("adapt", "Caddyfile", "http:// {\n"+fmt.Sprintf(withProxy, 1)+"}\n")
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.Gatehouse, "adapt", "--config", filepath.Join(folder, "Caddyfile"))
	cmd.Env = append(os.Environ(), caddyHome(folder)...)
	return cmd.Run() == nil
}

// StartDoor starts Gatehouse on an embedded store of n tenants, and waits until it has
// read all of them. env is added to its environment.
func (b *Bed) StartDoor(ctx context.Context, upstream, n int, env ...string) (*Door, error) {
	folder, err := os.MkdirTemp(b.Folder, "gatehouse-")
	if err != nil {
		return nil, err
	}
	err = fixture.CopyStore(ctx, b.Cache, filepath.Join(folder, "data"), n, func(done int) {
		if done%100_000 == 0 {
			b.Say("making a store: %d of %d instances", done, n)
		}
	})
	if err != nil {
		return nil, err
	}
	return b.startDoor(ctx, folder, "embedded ./data", env, upstream, n)
}

// StartDoorOn starts Gatehouse on a server of CouchDB's protocol; with a user's name the
// password is in the environment variable of PasswordVariable.
func (b *Bed) StartDoorOn(ctx context.Context, url, user string, env []string, upstream int) (*Door, error) {
	folder, err := os.MkdirTemp(b.Folder, "gatehouse-")
	if err != nil {
		return nil, err
	}
	store := "couchdb " + url
	if user != "" {
		store += " {\n			username " + user + "\n			password {env." + PasswordVariable + "}\n		}"
	}
	return b.startDoor(ctx, folder, store, env, upstream, 0)
}

// PasswordVariable is where a door reads CouchDB's password.
const PasswordVariable = "GATEHOUSE_BENCH_PASSWORD"

func (b *Bed) startDoor(ctx context.Context, folder, store string, env []string, upstream, n int) (*Door, error) {
	ports, err := proc.FreePorts(5)
	if err != nil {
		return nil, err
	}
	sites := b.sites(ports[1], ports[2], fmt.Sprintf(withReverseProxy, upstream))
	own := b.HasProxy(ctx)
	if own {
		sites += b.sites(ports[3], ports[4], fmt.Sprintf(withProxy, upstream))
	} else {
		ports = ports[:3]
	}
	d := &Door{Tenants: n}
	config := fmt.Sprintf("{\n"+caddyGlobals+gatehouseGlobals+"}\n", ports[0], store, filepath.Join(folder, "directory")) + sites
	if err := os.WriteFile(filepath.Join(folder, "Caddyfile"), fmt.Appendf(nil, config, grace), 0o600); err != nil {
		return nil, err
	}
	begin := time.Now()
	d.Running, err = b.runCaddy(ctx, "gatehouse", b.Gatehouse, folder, env, ports...)
	if err != nil {
		return nil, err
	}
	d.config = config
	d.Admin, d.HTTP, d.HTTPS = ports[0], ports[1], ports[2]
	if own {
		d.ProxyHTTP, d.ProxyHTTPS = ports[3], ports[4]
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := d.Await(ctx, func(ctx context.Context) error { return d.ready(ctx, n) }); err != nil {
		d.Stop()
		return nil, err
	}
	d.Loaded = time.Since(begin)
	return d, nil
}

func (b *Bed) sites(plain, secure int, handlers string) string {
	return fmt.Sprintf("http://:%d {\n	bind 127.0.0.1\n%s}\nhttps://:%d {\n	bind 127.0.0.1\n	tls %s %s\n%s}\n", plain, handlers, secure, b.Cert.Chain, b.Cert.Key, handlers)
}

// ready asks whether the directory follows the store and has n instances.
func (d *Door) ready(ctx context.Context, n int) error {
	var status struct {
		Directory struct {
			State     string
			Instances int
		}
	}
	if err := d.Get(ctx, "/tenancy/status", &status); err != nil {
		return err
	}
	if status.Directory.State != "following" || status.Directory.Instances < n {
		return fmt.Errorf("the directory is %s, with %d of %d instances", status.Directory.State, status.Directory.Instances, n)
	}
	return nil
}

// Get reads JSON from the admin endpoint.
func (r *Running) Get(ctx context.Context, path string, to any) error {
	resp, err := r.Call(ctx, http.MethodGet, path, "", "")
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(resp), to)
}
