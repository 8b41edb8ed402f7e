// Requests on connections that were made for another instance, over real TLS.

package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asked is a client whose handshakes are all for one host, as those of a browser that
// uses a connection for several.
func (d *door) asked(server, protocol string) *http.Client {
	d.t.Helper()
	client := d.tls()
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig.ServerName = server
	if protocol == "HTTP/1.1" {
		transport.ForceAttemptHTTP2, transport.TLSNextProto = false, map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	d.t.Cleanup(transport.CloseIdleConnections)
	return client
}

func TestMisdirected(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data\n\t\tcertificates {\n\t\t\tapps drive\n\t\t}")
	d.configure("pass_hosts login.localhost")
	path := filepath.Join(d.dir, "Caddyfile")
	config, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d.write("Caddyfile", string(config)+fmt.Sprintf(`
*.wild.localhost {
	tls internal
	tenancy
	respond "domain={http.tenancy.domain}"
}
https://login.localhost:%d {
	tls internal
	tenancy {
		pass_hosts login.localhost
	}
	respond "the login page"
}
`, d.https))
	d.startReady()
	d.add("alice.localhost", params{"DomainAliases": []string{"al.localhost"}})
	for _, name := range []string{"bob.localhost", "a.wild.localhost", "b.wild.localhost"} {
		d.add(name, nil)
	}
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			for _, c := range []struct {
				server, host string
				want         int
				says         string
			}{
				{"alice.localhost", "alice.localhost", 200, "domain=alice.localhost"}, {"alice.localhost", "Alice.localhost", 200, "domain=alice.localhost"},
				{"alice.localhost", "al.localhost", 200, "domain=alice.localhost"}, {"al.localhost", "drive.alice.localhost", 200, "domain=alice.localhost"},
				{"drive.alice.localhost", "alice.localhost", 200, "domain=alice.localhost"},
				{"alice.localhost", "bob.localhost", 421, "MISDIRECTED"}, {"drive.alice.localhost", "drive.bob.localhost", 421, "MISDIRECTED"},
				{"alice.localhost", "nobody.localhost", 421, "MISDIRECTED"}, {"alice.localhost", "a.wild.localhost", 421, "MISDIRECTED"},
				{"a.wild.localhost", "b.wild.localhost", 200, "domain=b.wild.localhost"}, {"a.wild.localhost", "alice.localhost", 421, "MISDIRECTED"},
				{"login.localhost", "login.localhost", 200, "the login page"}, {"login.localhost", "alice.localhost", 200, "domain=alice.localhost"},
			} {
				client := d.asked(c.server, protocol)
				host := fmt.Sprintf("%s:%d", c.host, d.https)
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://%s:%d/", c.server, d.https), nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = host
				req.Header.Set("Accept", jsonType)
				resp, err := client.Do(req)
				if err != nil {
					t.Errorf("%s on a connection to %s: %v", c.host, c.server, err)
					continue
				}
				raw, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.Proto != protocol || resp.StatusCode != c.want || !strings.Contains(string(raw), c.says) {
					t.Errorf("%s on a connection to %s: %s %d %q (%v), want %d with %q", c.host, c.server, resp.Proto, resp.StatusCode, raw, err, c.want, c.says)
				}
				if c.want == 421 && resp.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("a 421 may be stored: %v", resp.Header)
				}
			}
		})
	}
}
