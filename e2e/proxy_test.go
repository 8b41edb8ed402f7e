// A front door that sends requests on by itself: the same that reverse_proxy does behind
// it, upgrades, and a page where nobody answers.

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProxy(t *testing.T) {
	t.Parallel()
	d := newDoor(t, fmt.Sprintf(`store embedded ./data
		context company {
			upstream %s
			support help@company.example
		}
		context gone {
			upstream 127.0.0.1:1
		}`, stack(t, "b")))
	d.proxy = "respond 418" // which nobody gets to
	handler := fmt.Sprintf(`stack cozy
		pass_hosts login.localhost *.idp.localhost
		proxy %s {
			header_up X-Gatehouse-Domain {http.tenancy.domain}
			header_up X-Gatehouse-Slug {http.tenancy.slug}
		}`, stack(t, "a"))
	d.configure(handler)
	d.startReady()
	d.add("alice.localhost", params{"Locale": "en"})
	d.add("bob.localhost", params{"ContextName": "company", "Locale": "en"})
	d.add("carol.localhost", params{"ContextName": "gone", "Locale": "fr"})

	t.Run("routes", func(t *testing.T) { upstreamRoutes(t, d.in(t)) })
	t.Run("blocked", func(t *testing.T) { stackBlocked(t, d.in(t)) })
	t.Run("moving", func(t *testing.T) { stackMoving(t, d.in(t)) })
	t.Run("deleting", func(t *testing.T) { stackDeleting(t, d.in(t)) })
	t.Run("secure", func(t *testing.T) {
		d := d.in(t)
		a, err := fetch(d.tls(), "https://alice.localhost/x", "")
		if err != nil || a.status != 200 || !strings.HasPrefix(a.body, "stack=a host=alice.localhost domain=alice.localhost") {
			t.Errorf("%+v, %v", a, err)
		}
	})
	t.Run("gone", func(t *testing.T) {
		d := d.in(t)
		a := d.mustGet("carol.localhost", "/", "Accept", "text/html")
		if a.status != http.StatusBadGateway || !strings.Contains(a.body, `lang="fr"`) || !strings.Contains(a.body, "UPSTREAM_FAILED") {
			t.Errorf("%d %s", a.status, a.body)
		}
		isCode(t, "a program", d.mustGet("carol.localhost", "/", "Accept", jsonType), 502, "UPSTREAM_FAILED")
	})
	t.Run("reload", func(t *testing.T) { // connections and requests go over to the next configuration
		d := d.in(t)
		d.reload(0)
		d.goes("alice.localhost", "/x", "stack=a host=alice.localhost domain=alice.localhost slug= forged=")
	})
	t.Run("upgrade", func(t *testing.T) { proxyUpgrades(t, d, handler) })
}

// proxyUpgrades is last, since it has another upstream configured.
func proxyUpgrades(t *testing.T, d *door, handler string) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, r.Host+" says "+line)
	}))
	defer echo.Close()
	d = d.in(t)
	d.configure("proxy " + strings.TrimPrefix(echo.URL, "http://"))
	d.reload(0)
	defer func() {
		d.configure(handler)
		d.reload(0)
	}()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.http))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /realtime HTTP/1.1\r\nHost: alice.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	from := bufio.NewReader(conn)
	resp, err := http.ReadResponse(from, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := from.ReadString('\n'); err != nil || line != "alice.localhost says hello\n" {
		t.Errorf("%q, %v", line, err)
	}
}
