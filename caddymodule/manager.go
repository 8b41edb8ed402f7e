// Manager: tls.get_certificate.tenancy, which is asked first at a handshake.

package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

func init() { caddy.RegisterModule(Manager{}) }

// Manager serves the certificates of instances, which Gatehouse obtains before the first
// visit, renews without one, and removes with the instance. For names of nobody's it has
// none, so that Caddy goes on with the permission.
//
// That of a blocked, deleted or quarantined instance is served as well, so that the page
// with the reason is seen.
type Manager struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (Manager) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.get_certificate.tenancy", New: func() caddy.Module { return new(Manager) }}
}

// Provision finds the app.
func (m *Manager) Provision(ctx caddy.Context) error {
	app, err := ctx.App("tenancy")
	if err != nil {
		return err
	}
	m.app = app.(*App)
	return nil
}

// GetCertificate implements certmagic.Manager. Without a certificate and an error Caddy
// goes on with what else it has; an error ends the handshake.
func (m *Manager) GetCertificate(ctx context.Context, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	rt := m.app.runtime
	name, ok := tenancy.HostKey(hello.ServerName)
	if !ok || !rt.certificates.Active() || strings.Contains(name, ":") || m.app.covered(name) {
		return nil, nil
	}
	owner, known := rt.hosts.Owner(name)
	if !known && !rt.hosts.Quarantined(name) {
		return nil, nil
	}
	cert, err := rt.certificates.Certificate(ctx, name)
	switch {
	case err == nil:
		return cert, nil
	case !errors.Is(err, certificates.ErrNone):
		return nil, err
	case !known, owner.Deleting:
		return nil, nil // the permission says no
	}
	if owner.Slug != "" {
		err = m.app.mayHaveApp(ctx, owner)
		if errors.Is(err, caddytls.ErrPermissionDenied) {
			return m.none(err)
		}
		if err != nil {
			return nil, err
		}
	}
	cert, err = rt.certificates.Demand(ctx, name, addressOf(hello.Conn))
	if errors.Is(err, certificates.ErrNone) || errors.Is(err, certificates.ErrBusy) {
		return m.none(err)
	}
	return cert, err
}

// none says that there is no certificate. Caddy logs each error of a manager's as its own,
// though anybody can come for such names without end. Where it asks our permission next,
// that says no; another one might say yes.
func (m *Manager) none(err error) (*tls.Certificate, error) {
	if m.app.permits {
		return nil, nil
	}
	return nil, err
}

// addressOf is the address of a client; the zero value where it has none.
func addressOf(conn net.Conn) netip.Addr {
	if conn == nil {
		return netip.Addr{}
	}
	at, _ := netip.ParseAddrPort(conn.RemoteAddr().String()) // zero for what is none
	return at.Addr().Unmap()
}

// UnmarshalCaddyfile reads `get_certificate tenancy`, which has no options: they are
// those of `certificates` in the tenancy option.
func (m *Manager) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized option '%s'; get_certificate tenancy has none, see certificates in the tenancy option", d.Val())
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Manager)(nil)
	_ caddyfile.Unmarshaler = (*Manager)(nil)
	_ certmagic.Manager     = (*Manager)(nil)
)
