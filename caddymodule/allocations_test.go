//go:build !race

// Allocations: what the race detector, which allocates, keeps from being counted.

package caddymodule_test

import (
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// TestPermissionAllocatesNothing: a flood of names that are nobody's costs no memory, also
// where some instance has a port.
func TestPermissionAllocatesNothing(t *testing.T) {
	d := newDesk(t, `,"certificates":{"wildcards":["*.covered.example.com"]}`)
	add(t, d.app, "alice.example.com:8443", lifecycle.Change{})
	add(t, d.app, "leaving.example.com", lifecycle.Change{})
	modify(t, d.app, "leaving.example.com", lifecycle.Change{Deleting: ptr(true)})
	ctx := from(t.Context(), "2001:db8::1", 443)
	for _, name := range []string{
		"x1.nobody.example.com", "a-name-that-is-quite-long.of-a-domain-that-is-too.example.com", "alice.example.com", "leaving.example.com",
		"192.0.2.1", "2001:db8::1", "localhost", "", "a.covered.example.com", "Upper.Example.com",
	} {
		if err := d.CertificateAllowed(ctx, name); err == nil {
			t.Errorf("%q is allowed", name)
		}
		if n := testing.AllocsPerRun(100, func() { _ = d.CertificateAllowed(ctx, name) }); n != 0 {
			t.Errorf("%q: %v allocations", name, n)
		}
	}
}

// TestMisdirectedAllocatesNothing: the look at a server name is no cost of memory for a
// request that is served.
func TestMisdirectedAllocatesNothing(t *testing.T) {
	ctx, app := start(t)
	add(t, app, "alice.example.com", lifecycle.Change{Aliases: &[]string{"alice.org"}})
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"pass_hosts":["login.example.com"]}`)
	serve := func(server string) float64 {
		r, w := over(server, "alice.example.com:8443"), discard{http.Header{}}
		next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
		return testing.AllocsPerRun(100, func() {
			if err := h.ServeHTTP(w, r, next); err != nil {
				t.Error(err)
			}
		})
	}
	base := serve("")
	for _, server := range []string{"alice.example.com", "ALICE.example.com", "alice.org", "drive.alice.org", "nobody.example.com", "login.example.com"} {
		if n := serve(server); n > base {
			t.Errorf("%q: %v allocations, and %v without a server name", server, n, base)
		}
	}
}

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
