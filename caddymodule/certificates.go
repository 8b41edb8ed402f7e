// Certificates: how the certificates of instances are kept, in the configuration.

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// Certificates are the settings of what `get_certificate tenancy` serves: the
// certificates of instances, obtained before the first visit, renewed without one, and
// removed with the instance.
type Certificates struct {
	// Who issues them: Caddy's own modules, tried in this order. Default: those of the
	// automation policy that has `get_certificate tenancy`.
	IssuersRaw []json.RawMessage `json:"issuers,omitempty" caddy:"namespace=tls.issuance inline_key=module"`

	// The slugs of apps whose hosts (drive.alice.example.com) may have a certificate
	// wherever the instance exists. For others it is looked up whether the app is
	// installed.
	Apps []string `json:"apps,omitempty"`

	// Names as *.example.com whose certificate is kept elsewhere, as by a site of
	// Caddy's with a DNS challenge: no name under them needs one. Those of Caddy's
	// automation policies are known without being listed here.
	Wildcards []string `json:"wildcards,omitempty"`

	// Where a domain has to point before its certificate is ordered: host names, of
	// which it may be a CNAME, and IP addresses. A TXT record serves as well. Default:
	// nothing is asked.
	PointsTo []string `json:"points_to,omitempty"`

	// The DNS server that is asked for it, as 192.0.2.53:53. Default: the system's.
	Resolver string `json:"resolver,omitempty"`

	// How many orders are made in a time. Default: what Let's Encrypt allows, less a
	// tenth, for issuers that everybody trusts, and no limit for others.
	Limits map[string]Limit `json:"limits,omitempty"`

	// Certificates of what is gone are revoked.
	Revoke bool `json:"revoke,omitempty"`

	// How many certificates are kept in memory, at 5 to 10 KB each. Default: 20,000.
	Cache int `json:"cache,omitempty"`

	// How many orders are under way at a time. Default: 8.
	Parallel int `json:"parallel,omitempty"`

	proof   *certificates.Proof
	issuers []certmagic.Issuer
}

// Limit is a number of orders in a time.
type Limit struct {
	Orders int            `json:"orders"`
	Window caddy.Duration `json:"window"`
}

// Names of Certificates.Limits.
const (
	limitAccount = "account" // of all orders
	limitDomain  = "domain"  // of one registered domain, by the public suffix list
	limitName    = "name"    // of the same name
	limitClient  = "client"  // that visitors of one address ask for by their handshakes
	limitRemoval = "removal" // of names whose certificate is removed
)

var limitNames = []string{limitAccount, limitDomain, limitName, limitClient, limitRemoval}

// provision checks the settings and loads the issuers.
func (c *Certificates) provision(ctx caddy.Context) error {
	for i, wildcard := range c.Wildcards {
		key, ok := tenancy.HostKey(strings.TrimPrefix(wildcard, "*."))
		if !ok || !strings.HasPrefix(wildcard, "*.") || strings.ContainsAny(key, "*:") || !strings.Contains(key, ".") {
			return fmt.Errorf("wildcards: %q is not a name as *.example.com", wildcard)
		}
		c.Wildcards[i] = "*." + key
	}
	for _, slug := range c.Apps {
		if slug == "" || strings.ContainsAny(slug, ".:/*- ") {
			return fmt.Errorf("apps: %q is not the slug of an app", slug)
		}
	}
	for name, limit := range c.Limits {
		if c.limit(name, certificates.Limit{}) == nil {
			return fmt.Errorf("limits: %q is not known (allowed: %s)", name, strings.Join(limitNames, ", "))
		}
		if limit.Orders < 0 || limit.Orders > 0 && limit.Window <= 0 {
			return fmt.Errorf("limits: %s: is a number of orders and a time; 0 for no limit", name)
		}
	}
	if c.Cache < 0 || c.Parallel < 0 {
		return errors.New("cache and parallel: are numbers from 1 on")
	}
	if err := c.provisionProof(); err != nil {
		return err
	}
	if c.IssuersRaw == nil {
		return nil
	}
	modules, err := ctx.LoadModule(c, "IssuersRaw")
	if err != nil {
		return fmt.Errorf("issuers: %w", err)
	}
	for _, m := range modules.([]any) {
		c.issuers = append(c.issuers, m.(certmagic.Issuer))
	}
	return nil
}

func (c *Certificates) provisionProof() error {
	if len(c.PointsTo) == 0 {
		if c.Resolver != "" {
			return errors.New("resolver: is for points_to, which is not given")
		}
		return nil
	}
	c.proof = new(certificates.Proof)
	for _, target := range c.PointsTo {
		if addr, err := netip.ParseAddr(target); err == nil {
			c.proof.Addresses = append(c.proof.Addresses, addr.Unmap())
			continue
		}
		key, ok := tenancy.HostKey(target)
		if !ok || strings.Contains(key, ":") {
			return fmt.Errorf("points_to: %q is neither a host name nor an IP address", target)
		}
		c.proof.Names = append(c.proof.Names, key)
	}
	if c.Resolver != "" {
		if _, _, err := net.SplitHostPort(c.Resolver); err != nil {
			return fmt.Errorf("resolver: %q is not an address with a port, as 192.0.2.53:53", c.Resolver)
		}
		c.proof.Resolver = resolverAt(c.Resolver)
	}
	return nil
}

// limit is what the settings say of a budget, or what is to be taken otherwise; nil for
// one that is not known.
func (c *Certificates) limit(name string, otherwise certificates.Limit) *certificates.Limit {
	if l, ok := c.Limits[name]; ok {
		otherwise = certificates.Limit{Orders: l.Orders, Window: time.Duration(l.Window)}
	}
	switch name {
	case limitAccount, limitDomain, limitName, limitClient, limitRemoval:
		return &otherwise
	default:
		return nil
	}
}

// certificateSettings are what this configuration wants of certificates; nil for
// nothing, where no policy has `get_certificate tenancy`. All apps are provisioned by now.
func (a *App) certificateSettings() (*certificates.Settings, error) {
	wildcards := slices.Clone(a.Certificates.Wildcards)
	// The http app may be serving by now.
	defer func() { a.wildcards.Store(&wildcards) }()
	module, err := a.ctx.AppIfConfigured("tls")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tls := module.(*caddytls.TLS)
	var ours *caddytls.AutomationPolicy
	for _, policy := range tls.Automation.Policies {
		// One on demand has a certificate for each name under its subject.
		for _, subject := range policy.Subjects() {
			key, ok := tenancy.HostKey(strings.TrimPrefix(subject, "*."))
			if ok && strings.HasPrefix(subject, "*.") && !policy.OnDemand && len(policy.Managers) == 0 {
				wildcards = append(wildcards, "*."+key)
			}
		}
		for _, manager := range policy.Managers {
			if _, ok := manager.(*Manager); !ok {
				continue
			}
			if ours == nil {
				ours = policy
			} else if ours != policy && a.Certificates.issuers == nil {
				a.logger.Warn("get_certificate tenancy is in several policies; its certificates are those of the first one's issuers")
			}
		}
	}
	if ours == nil {
		return nil, nil
	}
	return a.settingsBy(ours, wildcards)
}

// settingsBy are the settings, with what the policy says that has the manager.
func (a *App) settingsBy(policy *caddytls.AutomationPolicy, wildcards []string) (*certificates.Settings, error) {
	c := a.Certificates
	keyType, err := keyTypeOf(policy.KeyType)
	if err != nil {
		return nil, err
	}
	s := &certificates.Settings{
		Storage: a.ctx.Storage(), Issuers: c.issuers, Wildcards: wildcards,
		KeyType: keyType, RenewalWindowRatio: policy.RenewalWindowRatio, ReusePrivateKeys: policy.ReusePrivateKeys,
		MustStaple: policy.MustStaple, DisableOCSPStapling: policy.DisableOCSPStapling,
		Capacity: c.Cache, Parallel: c.Parallel, Proof: c.proof, Revoke: c.Revoke,
	}
	own := true // issuers that no policy has told what they issue for
	if len(s.Issuers) == 0 && len(policy.Issuers) > 0 {
		s.Issuers, own = policy.Issuers, false
	}
	if len(s.Issuers) == 0 {
		if s.Issuers, err = caddytls.DefaultIssuersProvisioned(a.ctx); err != nil {
			return nil, err
		}
	}
	if own {
		issuers := s.Issuers
		s.Bind = func(config *certmagic.Config) {
			for _, issuer := range issuers {
				if setter, ok := issuer.(caddytls.ConfigSetter); ok {
					setter.SetConfig(config)
				}
			}
		}
		s.Bind(new(certmagic.Config)) // without one they do not know their keys
	}
	for _, issuer := range s.Issuers {
		if _, internal := issuer.(*caddytls.InternalIssuer); !internal {
			s.Public = true
		}
	}
	otherwise := certificates.Limits{Client: certificates.DefaultLimits.Client, Removal: certificates.DefaultLimits.Removal}
	part := certificates.DefaultLimits.RemovalPart
	if _, given := c.Limits[limitRemoval]; given {
		part = 0
	}
	if s.Public {
		otherwise = certificates.DefaultLimits
	}
	s.Limits = certificates.Limits{
		Account: *c.limit(limitAccount, otherwise.Account), Domain: *c.limit(limitDomain, otherwise.Domain),
		Name: *c.limit(limitName, otherwise.Name), Client: *c.limit(limitClient, otherwise.Client),
		Removal: *c.limit(limitRemoval, otherwise.Removal), RemovalPart: part,
	}
	a.warnOfIssuers(s.Issuers, policy)
	a.logger.Info("the certificates of instances are kept", zap.Int("issuers", len(s.Issuers)), zap.Strings("wildcards", s.Wildcards))
	return s, nil
}

// warnOfIssuers tells of issuers whose challenges another front door cannot answer: it
// looks for them among those of the policy.
func (a *App) warnOfIssuers(issuers []certmagic.Issuer, policy *caddytls.AutomationPolicy) {
	var known []string
	for _, issuer := range policy.Issuers {
		known = append(known, issuer.IssuerKey())
	}
	for _, issuer := range issuers {
		if _, internal := issuer.(*caddytls.InternalIssuer); internal { // it has none
			continue
		}
		if key := issuer.IssuerKey(); len(known) > 0 && !slices.Contains(known, key) {
			a.logger.Warn("an issuer of `certificates` is not among those of the site's policy: in a fleet its challenges fail at other front doors",
				zap.String("issuer", key), zap.Strings("policy", known))
		}
	}
}

// keyTypes are Caddy's names of keys.
var keyTypes = map[string]certmagic.KeyType{
	"": "", "ed25519": certmagic.ED25519, "p256": certmagic.P256, "p384": certmagic.P384,
	"rsa2048": certmagic.RSA2048, "rsa4096": certmagic.RSA4096,
}

func keyTypeOf(name string) (certmagic.KeyType, error) {
	name, err := caddy.NewReplacer().ReplaceOrErr(name, true, true)
	if err != nil {
		return "", fmt.Errorf("key_type: %w", err)
	}
	keyType, ok := keyTypes[name]
	if !ok {
		return "", fmt.Errorf("key_type: %q is not known", name)
	}
	return keyType, nil
}

// covered tells whether a configured wildcard has a name, in normal form and without a
// port. It does not allocate.
func (a *App) covered(name string) bool {
	wildcards := a.wildcards.Load()
	return wildcards != nil && certificates.Covered(*wildcards, name)
}

// httpsPort is that of HTTPS, as the http app has it.
func (a *App) httpsPort() uint16 {
	if module, err := a.ctx.AppIfConfigured("http"); err == nil {
		if app := module.(*caddyhttp.App); app.HTTPSPort > 0 {
			return uint16(app.HTTPSPort)
		}
	}
	return caddyhttp.DefaultHTTPSPort
}

// mayHaveApp tells whether the host of an app may have a certificate.
func (a *App) mayHaveApp(ctx context.Context, owner certificates.Owner) error {
	return a.runtime.appHosts.allowed(ctx, a.Certificates.Apps, owner.Instance, owner.Slug)
}

// CertificateApps are the slugs of apps whose hosts may have a certificate wherever the
// instance exists; see admin.CertifiedApps.
func (a *App) CertificateApps(context.Context, *tenancy.Instance) ([]string, error) {
	return a.Certificates.Apps, nil
}

// resolverAt asks one DNS server.
func resolverAt(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
}

// Interface guards
var (
	_ admin.Certified     = (*App)(nil)
	_ admin.CertifiedApps = (*App)(nil)
)
