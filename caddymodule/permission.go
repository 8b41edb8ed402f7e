// Permission: who may have a certificate ordered by Caddy's own on-demand TLS.

package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

func init() { caddy.RegisterModule(Permission{}) }

// Permission lets Caddy's on-demand TLS have certificates for the hosts of instances that
// are not being deleted, and for those of their apps that are installed or in the list
// `apps` of `certificates`. Names under a configured wildcard need none. Each address of
// visitors can have so many ordered in a time: the limit `client`, 10 in an hour unless
// it is configured.
//
// It has no say in what `get_certificate tenancy` serves, which is asked before; in the
// sites that have this, Caddy orders nothing by itself.
type Permission struct {
	app     *App
	apps    *appHosts
	clients *clients
	storage certmagic.Storage
	issuers func() []string // keys of all issuers whose certificates can be in the storage
	// policies are those of automation, in their order.
	policies func() []policy
}

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
	p.app.permits = true
	p.apps, p.clients = p.app.runtime.appHosts, p.app.runtime.clients
	p.storage = ctx.Storage()
	// At a handshake, since the tls app cannot be asked for while it is being provisioned.
	p.issuers = sync.OnceValue(func() []string { return issuerKeys(ctx) })
	p.policies = sync.OnceValue(func() []policy { return policiesOf(ctx) })
	return nil
}

// policy is what is to be known of one of Caddy's automation policies.
type policy struct {
	subjects []string // none for all names
	kept     bool     // it has get_certificate tenancy
}

func policiesOf(ctx caddy.Context) (all []policy) {
	module, err := ctx.AppIfConfigured("tls")
	if err != nil {
		return nil
	}
	automation := module.(*caddytls.TLS).Automation
	if automation == nil {
		return nil
	}
	for _, p := range automation.Policies {
		kept := slices.ContainsFunc(p.Managers, func(m certmagic.Manager) bool { _, ours := m.(*Manager); return ours })
		all = append(all, policy{p.Subjects(), kept})
	}
	return all
}

// kept tells whether Gatehouse orders the certificate of a name: the policy for it, chosen
// as Caddy does, says so, and the manager knows the name. It does not know that of an
// instance with a port of its own.
func (p *Permission) kept(name string) bool {
	for _, policy := range p.policies() {
		if len(policy.subjects) == 0 || slices.ContainsFunc(policy.subjects, func(subject string) bool { return certmagic.MatchWildcard(name, subject) }) {
			_, known := p.app.runtime.hosts.Owner(name)
			return policy.kept && known
		}
	}
	return false
}

// CertificateAllowed implements caddytls.OnDemandPermission. It answers from memory, but
// for the host of an app, and for a client that has not come for the name before. A denial
// of a name that is nobody's does not allocate: it is what a flood of names gets.
func (p *Permission) CertificateAllowed(ctx context.Context, name string) error {
	err := p.decide(ctx, name)
	if d, ok := errors.AsType[*denial](err); ok {
		p.app.metrics.denied[d.reason].Inc()
	}
	return err
}

func (p *Permission) decide(ctx context.Context, name string) error {
	switch {
	case isAddress(name):
		return errAddress
	case strings.IndexByte(name, '.') < 0:
		return errSingleLabel
	case p.app.covered(name):
		return errCovered
	}
	hello, _ := ctx.Value(certmagic.ClientHelloInfoCtxKey).(*tls.ClientHelloInfo)
	var conn net.Conn
	if hello != nil {
		conn = hello.Conn
	}
	dir, port := p.app.runtime.dir, portOf(conn)
	m, ok := dir.ResolveAt(name, port, p.app.mode)
	switch {
	case !ok:
		return errUnknown
	case m.Entry.State() == tenancy.Deleting:
		return errDeleting
	case p.kept(name):
		return errKept // what the manager has just had none of, with the reason for it
	case m.Slug != "" && !isOwn(dir, name, port, m):
		if err := p.apps.allowed(ctx, p.app.Certificates.Apps, m.Entry.ID(), m.Slug); err != nil {
			return err
		}
	}
	limit := p.app.Certificates.limit(limitClient, certificates.DefaultLimits.Client)
	if !p.clients.admits(addressOf(conn), name, *limit, func() bool { return p.stored(ctx, name) }) {
		return errClient
	}
	return nil
}

// isOwn tells whether what looks like the host of an app is a name of the instance's own,
// as an alias www.alice.org beside alice.org.
func isOwn(dir *directory.Directory, name string, port uint16, m directory.Match) bool {
	own, ok := dir.ResolveAt(name, port, directory.Off)
	return ok && own.Entry.Is(m.Entry)
}

// storageTime bounds the question whether a certificate is in the storage.
const storageTime = 2 * time.Second

// stored tells whether a certificate of a name is in the storage, where Caddy then finds
// it: it asks for permission on each miss of its memory, as after a restart, when nobody
// is to be denied what is there.
//
// What remains: it looks in Caddy's storage alone, not in one of an automation policy's
// own. A certificate that is only there, or a storage that does not answer, counts as an
// order, once an hour for each client and name.
func (p *Permission) stored(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, storageTime)
	defer cancel()
	for _, issuer := range p.issuers() {
		if p.storage.Exists(ctx, certmagic.StorageKeys.SiteCert(issuer, name)) {
			return true
		}
	}
	return false
}

// issuerKeys are those of all automation policies; Caddy's default ones, where a policy
// has none, are among them.
func issuerKeys(ctx caddy.Context) (keys []string) {
	module, err := ctx.AppIfConfigured("tls")
	if err != nil {
		return nil
	}
	issuers, err := caddytls.DefaultIssuersProvisioned(ctx)
	if err != nil {
		return nil
	}
	for _, issuer := range issuers {
		if setter, ok := issuer.(caddytls.ConfigSetter); ok {
			setter.SetConfig(new(certmagic.Config)) // without one they do not know their keys
		}
	}
	if automation := module.(*caddytls.TLS).Automation; automation != nil {
		for _, policy := range automation.Policies {
			issuers = append(issuers, policy.Issuers...)
		}
	}
	seen := map[string]bool{}
	for _, issuer := range issuers {
		if key := issuer.IssuerKey(); !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// isAddress tells an IP address, or a name that is read as one, as net.ParseIP cannot
// without allocating: its last label is a number (https://url.spec.whatwg.org/#ends-in-a-number-checker).
func isAddress(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	for i := range len(last) {
		if last[i] < '0' || last[i] > '9' {
			return strings.IndexByte(name, ':') >= 0
		}
	}
	return last != "" || strings.IndexByte(name, ':') >= 0
}

// portOf is the port that a client has come to; 0 where it is not known. It does not
// allocate for what Go and Caddy listen with.
func portOf(conn net.Conn) uint16 {
	if conn == nil {
		return 0
	}
	switch at := conn.LocalAddr().(type) {
	case nil:
		return 0
	case *net.TCPAddr:
		return uint16(at.Port)
	case *net.UDPAddr: // HTTP/3
		return uint16(at.Port)
	default:
		to, _ := netip.ParseAddrPort(at.String()) // zero for what is none
		return to.Port()
	}
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
