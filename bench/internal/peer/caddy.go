// Caddy: stock, and what is common to it and to Gatehouse.

package peer

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
)

// caddyGlobals are the options of both. HTTP/3 is off, since nobody asks for it here.
const caddyGlobals = `	admin 127.0.0.1:%d
	persist_config off
	auto_https off
	skip_install_trust
	grace_period %%dms
	servers {
		protocols h1 h2
	}
`

// Stock is stock Caddy's way of serving: it proxies on its ports, and answers by
// itself on another.
type Stock struct {
	*Running
	Respond int // the port of the floor: Caddy's `respond`
}

// Changed gives the Caddyfile with another change each time, of what nobody meets, so that
// its load is a reload.
func (r *Running) Changed() string {
	r.changes++
	return fmt.Sprintf(r.config, grace+r.changes)
}

// grace is the grace period in milliseconds.
const grace = 5000

// StartStock starts stock Caddy with one site, which is the cheapest that it can be.
func (b *Bed) StartStock(ctx context.Context, upstream int) (*Stock, error) {
	ports, err := proc.FreePorts(4)
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("{\n"+caddyGlobals+"}\n", ports[0]) + fmt.Sprintf(`http://:%d {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:%d
}
https://:%d {
	bind 127.0.0.1
	tls %s %s
	reverse_proxy 127.0.0.1:%d
}
http://:%d {
	bind 127.0.0.1
	respond "hello from the front door itself"
}
`, ports[1], upstream, ports[2], b.Cert.Chain, b.Cert.Key, upstream, ports[3])
	folder, err := b.place("caddy", "Caddyfile", fmt.Sprintf(config, grace))
	if err != nil {
		return nil, err
	}
	r, err := b.runCaddy(ctx, "caddy", b.Caddy, folder, nil, ports...)
	if err != nil {
		return nil, err
	}
	r.config = config
	r.Admin, r.HTTP, r.HTTPS = ports[0], ports[1], ports[2]
	return &Stock{Running: r, Respond: ports[3]}, nil
}

// caddyHome lets Caddy keep its own files in the folder too.
func caddyHome(folder string) []string {
	return []string{"HOME=" + folder, "XDG_DATA_HOME=" + filepath.Join(folder, "share"), "XDG_CONFIG_HOME=" + filepath.Join(folder, "config")}
}

// runCaddy runs a Caddy with the Caddyfile of a folder.
func (b *Bed) runCaddy(ctx context.Context, name, binary, folder string, env []string, ports ...int) (*Running, error) {
	return b.start(ctx, proc.Command{
		Name: name, Program: binary, Args: []string{"run", "--config", "Caddyfile"}, Dir: folder, Env: append(caddyHome(folder), env...),
	}, ports...)
}
