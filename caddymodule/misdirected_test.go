// Misdirected: which host is for which handshake.

package caddymodule_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// over is a request for a host in a handshake for a server name.
func over(server, host string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/path", nil)
	r.Host, r.TLS = host, &tls.ConnectionState{ServerName: server}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), new(caddyhttp.Server))
}

func TestMisdirected(t *testing.T) {
	d := newDesk(t, `,"certificates":{"wildcards":["*.covered.example.com","*.other.example.com"]}`)
	add(t, d.app, "alice.example.com", lifecycle.Change{Aliases: &[]string{"alice.org", "élise.org"}, OldDomain: ptr("anna.example.com")})
	add(t, d.app, "bob.example.com", lifecycle.Change{})
	add(t, d.app, "blocked.example.com", lifecycle.Change{})
	modify(t, d.app, "blocked.example.com", lifecycle.Change{Blocked: ptr(true), BlockingReason: ptr("PAYMENT_FAILED")})
	for _, name := range []string{"a.covered.example.com", "b.covered.example.com", "c.other.example.com", "ported.example.com:8443"} {
		add(t, d.app, name, lifecycle.Change{})
	}
	h := load[caddyhttp.MiddlewareHandler](t, d.ctx, "http.handlers.tenancy", `{"pass_hosts":["login.example.com","idp.alice.example.com"]}`)
	open := load[caddyhttp.MiddlewareHandler](t, d.ctx, "http.handlers.tenancy", `{"unknown":"pass"}`)
	const no = http.StatusMisdirectedRequest
	for _, c := range []struct {
		server, host string
		want         int
	}{
		{"alice.example.com", "alice.example.com", 200}, {"alice.example.com", "Alice.Example.com:8443", 200}, {"ALICE.example.com", "alice.example.com.", 200},
		{"alice.example.com", "alice.org", 200}, {"alice.org", "drive.alice.example.com", 200}, {"drive.alice.example.com", "photos.alice.org:8443", 200},
		{"alice.example.com", "élise.org", 200}, {"xn--lise-9oa.org", "alice.example.com", 200},
		{"alice.example.com", "anna.example.com", 308}, {"anna.example.com", "alice.example.com", 200},
		{"alice.example.com", "bob.example.com", no}, {"bob.example.com", "alice.example.com:8443", no}, {"BOB.example.com", "alice.example.com", no},
		{"drive.alice.example.com", "drive.bob.example.com", no}, {"anna.example.com", "bob.example.com", no},
		{"alice.example.com", "nobody.example.com", no}, {"alice.example.com", "", no}, {"alice.example.com", "192.0.2.1", no}, {"alice.example.com", "[::1]:8443", no},
		{"alice.example.com", "blocked.example.com", no}, {"blocked.example.com", "alice.example.com", no}, {"blocked.example.com", "blocked.example.com", 402},
		{"alice.example.com", "login.example.com", no}, {"login.example.com", "alice.example.com", 200},
		{"idp.alice.example.com", "login.example.com", 200}, {"idp.alice.example.com", "bob.example.com", 200}, // a pass host before it is an instance's
		{"", "alice.example.com", 200}, {"nobody.example.com", "alice.example.com", 200}, {"nobody.example.com", "nobody.example.org", 404}, {"", "nobody.example.com", 404},
		{"a.covered.example.com", "b.covered.example.com", 200}, {"A.covered.example.com", "B.Covered.example.com.:443", 200},
		{"a.covered.example.com", "nobody.covered.example.com", 404}, {"a.covered.example.com", "c.other.example.com", no},
		{"a.covered.example.com", "x.b.covered.example.com", no}, {"x.a.covered.example.com", "b.covered.example.com", no},
		{"a.covered.example.com", "covered.example.com", no}, {"a.covered.example.com", ".covered.example.com", no}, {"a.covered.example.com", "alice.example.com", no},
		{"ported.example.com", "ported.example.com:8443", 200}, {"ported.example.com", "alice.example.com:8443", no}, {"ported.example.com", "alice.example.com", 200},
	} {
		r, w := over(c.server, c.host), httptest.NewRecorder()
		if err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.want {
			t.Errorf("%q on a connection to %q: %d, want %d", c.host, c.server, w.Code, c.want)
		}
	}

	r, w := over("alice.example.com", "nobody.example.com"), httptest.NewRecorder()
	r.Header.Set("Accept", "application/vnd.api+json")
	err := open.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		t.Error("a host of nobody's has come through on a connection to an instance")
		return nil
	}))
	if err != nil || w.Code != no || !strings.Contains(w.Body.String(), `"code":"MISDIRECTED"`) || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v: %d %v %s", err, w.Code, w.Header(), w.Body)
	}
	// What it says of crawlers would be another instance's.
	r, w = over("alice.example.com", "bob.example.com"), httptest.NewRecorder()
	r.URL.Path = "/robots.txt"
	r.Header.Set("Accept-Language", "fr")
	if err := h.ServeHTTP(w, r, nil); err != nil || w.Code != no || !strings.Contains(w.Body.String(), "Veuillez rouvrir cette page") {
		t.Errorf("robots.txt: %v: %d %s", err, w.Code, w.Body)
	}
}

// BenchmarkServe is a request that is served: with the name of its handshake, with another
// one of the same instance, and without TLS.
func BenchmarkServe(b *testing.B) {
	d := newDesk(b, "")
	add(b, d.app, "alice.example.com", lifecycle.Change{Aliases: &[]string{"alice.org"}})
	module, err := d.ctx.LoadModuleByID("http.handlers.tenancy", []byte(`{}`))
	if err != nil {
		b.Fatal(err)
	}
	h := module.(caddyhttp.MiddlewareHandler)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	for what, server := range map[string]string{"no server name": "", "the same": "alice.example.com", "an alias": "alice.org"} {
		b.Run(what, func(b *testing.B) {
			r, w := over(server, "alice.example.com"), httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				if err := h.ServeHTTP(w, r, next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
