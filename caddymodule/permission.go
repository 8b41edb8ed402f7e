// Permission: who may have a certificate.

package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func init() { caddy.RegisterModule(Permission{}) }

// Permission lets on-demand TLS have certificates for the hosts of instances
// that are not being deleted, and for nothing else. It answers from memory.
type Permission struct {
	app *App
}

// errDenied says no. It is one value, since a flood of unknown names must not
// cost memory.
var errDenied = errors.New("no instance has this name, or it is being deleted")

// CaddyModule returns the Caddy module information.
func (Permission) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.permission.tenancy", New: func() caddy.Module { return new(Permission) }}
}

// Provision finds the app.
func (p *Permission) Provision(ctx caddy.Context) error {
	app, err := ctx.App("tenancy")
	if err != nil {
		return err
	}
	p.app = app.(*App)
	return nil
}

// CertificateAllowed implements caddytls.OnDemandPermission.
func (p *Permission) CertificateAllowed(ctx context.Context, name string) error {
	if net.ParseIP(name) != nil {
		return errDenied
	}
	dir := p.app.runtime.dir
	m, ok := dir.Resolve(name, p.app.mode)
	if !ok {
		// A name in TLS has no port; that of an instance may have the one that the
		// client has come to.
		hello, _ := ctx.Value(certmagic.ClientHelloInfoCtxKey).(*tls.ClientHelloInfo)
		if hello == nil || hello.Conn == nil {
			return errDenied
		}
		_, port, err := net.SplitHostPort(hello.Conn.LocalAddr().String())
		if err != nil {
			return errDenied
		}
		if m, ok = dir.Resolve(net.JoinHostPort(name, port), p.app.mode); !ok {
			return errDenied
		}
	}
	if m.Entry.State == tenancy.Deleting {
		return errDenied
	}
	return nil
}

// UnmarshalCaddyfile reads `permission tenancy`, which has no options.
func (p *Permission) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized option '%s'; permission tenancy has none", d.Val())
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Permission)(nil)
	_ caddyfile.Unmarshaler       = (*Permission)(nil)
	_ caddytls.OnDemandPermission = (*Permission)(nil)
)
