// HAProxy, plain or with a map of hosts.

package peer

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
)

const haproxyConfig = `global
	maxconn 4096
defaults
	mode http
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout http-keep-alive 1h
	option forwardfor
	http-reuse always
frontend plain
	bind 127.0.0.1:%d
	bind 127.0.0.1:%d ssl crt %s alpn h2,http/1.1
%s
backend behind
	server one 127.0.0.1:%d
`

// HAProxy starts HAProxy. With a number of hosts it looks each host up in a map.
func (b *Bed) HAProxy(ctx context.Context, upstream, hosts int) (*Running, error) {
	ports, err := proc.FreePorts(2)
	if err != nil {
		return nil, err
	}
	choose := "	default_backend behind"
	if hosts > 0 {
		names := filepath.Join(b.Folder, "haproxy.map")
		if err := writeHosts(names, " behind\n", hosts); err != nil {
			return nil, err
		}
		choose = fmt.Sprintf("	use_backend %%[req.hdr(host),lower,map_str(%s)]", names)
	}
	folder, err := b.place("haproxy", "haproxy.cfg", fmt.Sprintf(haproxyConfig, ports[0], ports[1], b.Cert.Both, choose, upstream))
	if err != nil {
		return nil, err
	}
	r, err := b.start(ctx, proc.Command{
		Name: "haproxy", Program: "haproxy", Dir: folder, Args: []string{"-db", "-q", "-f", filepath.Join(folder, "haproxy.cfg")},
	}, ports...)
	if err == nil {
		r.HTTP, r.HTTPS = ports[0], ports[1]
	}
	return r, err
}
