// nginx: as a proxy, with a map of hosts or without, and as the upstream of all.

package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gatehouse-edge/gatehouse/bench/internal/fixture"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
)

// nginxBase is what both have. The limits of requests in a connection are lifted, since the
// others have none.
const nginxBase = `worker_processes %s;
pid nginx.pid;
error_log stderr warn;
daemon off;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path temp;
	proxy_temp_path temp;
	fastcgi_temp_path temp;
	uwsgi_temp_path temp;
	scgi_temp_path temp;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	default_type text/plain;
%s
}
`

// StartUpstream starts what stands behind all proxies: an nginx that answers by itself, which
// is the cheapest that there is.
func (b *Bed) StartUpstream(ctx context.Context) (*Running, error) {
	ports, err := proc.FreePorts(1)
	if err != nil {
		return nil, err
	}
	server := fmt.Sprintf("	server {\n		listen 127.0.0.1:%d;\n		location / { return 200 \"hello from behind the front door\\n\"; }\n	}", ports[0])
	r, err := b.nginx(ctx, "upstream", "1", server, ports[0])
	if err == nil {
		r.HTTP = ports[0]
	}
	return r, err
}

// Nginx starts nginx as a proxy. With a number of hosts it looks each host up in a map
// and refuses others, as Gatehouse does.
func (b *Bed) Nginx(ctx context.Context, upstream, hosts int) (*Running, error) {
	ports, err := proc.FreePorts(2)
	if err != nil {
		return nil, err
	}
	lookup, target := "", "behind"
	if hosts > 0 {
		names := filepath.Join(b.Folder, "nginx.map")
		if err := writeHosts(names, " behind;\n", hosts); err != nil {
			return nil, err
		}
		lookup = fmt.Sprintf("	map_hash_max_size %d;\n	map_hash_bucket_size 128;\n	map $host $tenant {\n		include %s;\n	}\n", 2*hosts, names)
		target = "$tenant"
	}
	server := lookup + fmt.Sprintf(`	upstream behind {
		server 127.0.0.1:%d;
		keepalive 64;
		keepalive_requests 1000000000;
		keepalive_timeout 1h;
	}
	server {
		listen 127.0.0.1:%d;
		listen 127.0.0.1:%d ssl http2;
		ssl_certificate %s;
		ssl_certificate_key %s;
		location / {
			proxy_pass http://%s;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-Host $host;
		}
	}`, upstream, ports[0], ports[1], b.Cert.Chain, b.Cert.Key, target)
	r, err := b.nginx(ctx, "nginx", "auto", server, ports...)
	if err == nil {
		r.HTTP, r.HTTPS = ports[0], ports[1]
	}
	return r, err
}

func (b *Bed) nginx(ctx context.Context, name, workers, servers string, ports ...int) (*Running, error) {
	folder, err := b.place(name, "nginx.conf", fmt.Sprintf(nginxBase, workers, servers))
	if err != nil {
		return nil, err
	}
	// Its workers are another user's where it is root's, and have to read nothing.
	return b.start(ctx, proc.Command{
		Name: name, Program: "nginx", Dir: folder, Args: []string{"-p", folder, "-c", filepath.Join(folder, "nginx.conf"), "-e", "stderr"},
	}, ports...)
}

// writeHosts writes the first n tenants into a file, each with what follows it.
func writeHosts(path, after string, n int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	for i := range n {
		if !fixture.Blocked(i) {
			_, _ = out.Write(fixture.AppendActive(nil, i)) // Flush has the error
			_, _ = io.WriteString(out, after)
		}
	}
	if err := out.Flush(); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}
