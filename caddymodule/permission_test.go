// The permission: what Caddy's on-demand TLS may order, and for whom.

package caddymodule_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-edge/gatehouse/caddymodule"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// desk is a permission in a Caddy with the tls app, which listens to nothing.
type desk struct {
	caddytls.OnDemandPermission
	ctx     caddy.Context
	app     *caddymodule.App
	storage certmagic.Storage
}

// newDesk makes one; more is further JSON of the tenancy app, which begins with a comma.
func newDesk(t testing.TB, more string, policies ...string) *desk {
	t.Helper()
	dir := t.TempDir()
	off := false
	err := caddy.Run(&caddy.Config{
		Admin:      &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		Logging:    quiet,
		StorageRaw: json.RawMessage(fmt.Sprintf(`{"module":"file_system","root":%q}`, dir)),
		AppsRaw: caddy.ModuleMap{
			"tenancy": json.RawMessage(fmt.Sprintf(`{"store":{"driver":"embedded","path":%q},"snapshot":"off"%s}`, filepath.Join(dir, "data"), more)),
			"tls": json.RawMessage(`{"automation":{"on_demand":{"permission":{"module":"tenancy"}},"policies":[` + strings.Join(append(policies, ""), ",") + `
				{"subjects":["*.wild.example.com"],"issuers":[{"module":"internal"}]},
				{"subjects":["*.each.example.com"],"issuers":[{"module":"internal"}],"on_demand":true},
				{"issuers":[{"module":"internal"}],"on_demand":true}]}}`),
			"pki": json.RawMessage(`{"certificate_authorities":{"local":{"install_trust":false}}}`),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{ctx: caddy.ActiveContext()}
	app, err := d.ctx.App("tenancy")
	if err != nil {
		t.Fatal(err)
	}
	module, err := d.ctx.LoadModuleByID("tls.permission.tenancy", json.RawMessage(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	d.app, d.storage, d.OnDemandPermission = app.(*caddymodule.App), d.ctx.Storage(), module.(caddytls.OnDemandPermission)
	return d
}

// denied is the metric of a reason.
func (d *desk) denied(t *testing.T, reason string) float64 {
	t.Helper()
	var registry prometheus.Gatherer = d.ctx.GetMetricsRegistry()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "gatehouse_tls_denied_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() == reason {
				return metric.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric of %q", reason)
	return 0
}

// connection is one from an address to a port.
type connection struct {
	net.Conn
	from, to net.Addr
}

func (c connection) RemoteAddr() net.Addr { return c.from }
func (c connection) LocalAddr() net.Addr  { return c.to }

// from is the context of a handshake from an address.
func from(ctx context.Context, address string, port int) context.Context {
	c := connection{from: &net.TCPAddr{IP: net.ParseIP(address), Port: 54321}, to: &net.TCPAddr{IP: net.IPv6loopback, Port: port}}
	return context.WithValue(ctx, certmagic.ClientHelloInfoCtxKey, &tls.ClientHelloInfo{Conn: c})
}

func TestPermission(t *testing.T) {
	d := newDesk(t, `,"certificates":{"apps":["home"],"wildcards":["*.covered.example.com"]}`)
	alice := add(t, d.app, "alice.example.com", lifecycle.Change{
		Aliases: &[]string{"alias.example.com", "alice.org", "www.alice.org"}, OldDomain: ptr("anna.example.com"),
	})
	add(t, d.app, "blocked.example.com", lifecycle.Change{})
	modify(t, d.app, "blocked.example.com", lifecycle.Change{Blocked: ptr(true)})
	add(t, d.app, "leaving.example.com", lifecycle.Change{})
	modify(t, d.app, "leaving.example.com", lifecycle.Change{Deleting: ptr(true)})
	add(t, d.app, "alice.covered.example.com", lifecycle.Change{})
	add(t, d.app, "alice.wild.example.com", lifecycle.Change{})
	add(t, d.app, "alice.each.example.com", lifecycle.Change{})
	add(t, d.app, "ported.example.com:8443", lifecycle.Change{})
	add(t, d.app, "localhost", lifecycle.Change{})
	d.install(t, alice, "drive")
	const yes = ""
	for _, c := range []struct {
		name, want string
	}{
		{"alice.example.com", yes}, {"alias.example.com", yes}, {"anna.example.com", yes}, {"www.alice.org", yes},
		{"blocked.example.com", yes}, // so that its page is seen
		{"home.alice.example.com", yes}, {"home.blocked.example.com", yes}, {"drive.alice.example.com", yes}, {"drive.alice.org", yes},
		{"drive.anna.example.com", yes}, // it leads to drive.alice.example.com
		{"photos.alice.example.com", "app"}, {"drive.blocked.example.com", "app"}, {"*.alice.example.com", "app"},
		{"leaving.example.com", "deleting"}, {"home.leaving.example.com", "deleting"},
		{"nobody.example.com", "unknown"}, {"a.b.alice.example.com", "unknown"}, {"ported.example.com", "unknown"}, {"alice.example.com.evil.org", "unknown"},
		{"..", "unknown"}, {"alice..example.com", "unknown"},
		{"localhost", "single_label"}, {"", "single_label"}, {"alice", "single_label"},
		{"127.0.0.1", "address"}, {"::1", "address"}, {"::ffff:192.0.2.1", "address"}, {"[::1]", "address"}, {"192.168.1", "address"}, {"7", "address"},
		{"alice.example.com:443", "address"},
		{"alice.covered.example.com", "covered"}, {"nobody.covered.example.com", "covered"}, {"alice.wild.example.com", "covered"},
		{"alice.each.example.com", yes},         // of a policy on demand each name has a certificate of its own
		{"home.alice.covered.example.com", yes}, // a wildcard is for one label
	} {
		before := 0.0
		if c.want != yes {
			before = d.denied(t, c.want)
		}
		err := d.CertificateAllowed(t.Context(), c.name)
		switch {
		case c.want == yes && err != nil:
			t.Errorf("%q: %v", c.name, err)
		case c.want != yes && !errors.Is(err, caddytls.ErrPermissionDenied):
			t.Errorf("%q: %v, want a denial", c.name, err)
		case c.want != yes && d.denied(t, c.want) != before+1:
			t.Errorf("%q: %v is not counted as %s", c.name, err, c.want)
		}
	}
	// The port is the one that the visitor has come to.
	if err := d.CertificateAllowed(from(t.Context(), "192.0.2.1", 8443), "ported.example.com"); err != nil {
		t.Errorf("at the port of an instance: %v", err)
	}
	if err := d.CertificateAllowed(from(t.Context(), "192.0.2.1", 443), "ported.example.com"); err == nil {
		t.Error("at another port than an instance's it is allowed")
	}
}

// TestPermissionOfKept: where Gatehouse keeps the certificates of a site, Caddy orders none
// of its own, whatever ours waits for.
func TestPermissionOfKept(t *testing.T) {
	d := newDesk(t, "", `{"subjects":["*.kept.example.com"],"get_certificate":[{"via":"tenancy"}],"issuers":[{"module":"internal"}],"on_demand":true}`)
	add(t, d.app, "alice.kept.example.com", lifecycle.Change{})
	add(t, d.app, "alice.example.com", lifecycle.Change{})
	add(t, d.app, "ported.kept.example.com:8443", lifecycle.Change{})
	if err := d.CertificateAllowed(from(t.Context(), "192.0.2.1", 8443), "ported.kept.example.com"); err != nil {
		t.Errorf("of an instance with a port of its own, which Gatehouse orders none for: %v", err)
	}
	if err := d.CertificateAllowed(t.Context(), "alice.kept.example.com"); !errors.Is(err, caddytls.ErrPermissionDenied) || d.denied(t, "kept") != 1 {
		t.Errorf("%v, %v", err, d.denied(t, "kept"))
	}
	if err := d.CertificateAllowed(t.Context(), "alice.example.com"); err != nil {
		t.Errorf("of another site: %v", err)
	}
}

// install writes the document of an app.
func (d *desk) install(t *testing.T, inst *tenancy.Instance, slug string) {
	t.Helper()
	id := "io.cozy.apps/" + slug
	_, err := caddymodule.StoreOf(d.app).Put(t.Context(), provision.DatabaseName(inst.Prefix(), "io.cozy.apps"), id, map[string]any{"_id": id, "slug": slug})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPermissionBudget: what the visitors of one address can have ordered.
func TestPermissionBudget(t *testing.T) {
	d := newDesk(t, `,"certificates":{"limits":{"client":{"orders":3,"window":"1h"}}}`)
	name := func(i int) string { return fmt.Sprintf("i%d.example.com", i) }
	for i := range 8 {
		add(t, d.app, name(i), lifecycle.Change{})
	}
	// Certificates that are there are no orders, whoever comes for them.
	for i := range 4 {
		issuer := "local"
		if i == 0 { // one that Caddy has where a policy names none
			issuer = "acme-v02.api.letsencrypt.org-directory"
		}
		if err := d.storage.Store(t.Context(), certmagic.StorageKeys.SiteCert(issuer, name(i)), []byte("a certificate")); err != nil {
			t.Fatal(err)
		}
	}
	count := func(ctx context.Context, first, last int) (allowed int) {
		for i := first; i <= last; i++ {
			if err := d.CertificateAllowed(ctx, name(i)); err == nil {
				allowed++
			} else if !errors.Is(err, caddytls.ErrPermissionDenied) {
				t.Errorf("%s: %v", name(i), err)
			}
		}
		return allowed
	}
	one := from(t.Context(), "2001:db8::1", 443)
	for range 2 { // the second time costs nothing
		if n := count(one, 0, 7); n != 4+3 {
			t.Errorf("%d names are allowed, want 4 that are there and 3 new ones", n)
		}
	}
	if n := d.denied(t, "client"); n != 2 {
		t.Errorf("%v denials are counted", n)
	}
	if n := count(from(t.Context(), "2001:db8::2", 443), 7, 7); n != 0 {
		t.Error("another address of the same /64 has a budget of its own")
	}
	if n := count(from(t.Context(), "192.0.2.1", 443), 4, 7); n != 3 {
		t.Errorf("from another address %d are allowed", n)
	}
	if n := count(t.Context(), 0, 7); n != 8 { // Caddy's own renewal
		t.Errorf("without a handshake %d are allowed", n)
	}
}

// BenchmarkPermission is what a flood of handshakes costs before anything is looked up.
func BenchmarkPermission(b *testing.B) {
	d := newDesk(b, "")
	ctx := from(b.Context(), "192.0.2.1", 443)
	for what, name := range map[string]string{"unknown": "x1.nobody.example.com", "address": "192.0.2.1", "single label": "localhost"} {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = d.CertificateAllowed(ctx, name)
			}
		})
	}
}
