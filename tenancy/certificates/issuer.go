// Issuers, as certmagic gets them: one that never asks the terminal and is tried once,
// and one that issues nothing.

package certificates

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// quiet is an issuer for certmagic's interactive calls, which try once, as our queue
// wants it, and would ask whoever sits at the terminal for an e-mail address.
type quiet struct{ certmagic.Issuer }

// PreCheck implements certmagic.PreChecker.
func (q quiet) PreCheck(ctx context.Context, names []string, _ bool) error {
	if p, ok := q.Issuer.(certmagic.PreChecker); ok {
		return p.PreCheck(ctx, names, false)
	}
	return nil
}

// Issue keeps the request from an issuer whose order has been cancelled, or is not needed
// any more. By now certmagic has the storage's lock on the name.
func (q quiet) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if needed, ok := ctx.Value(neededKey{}).(func(context.Context) error); ok {
		if err := needed(ctx); err != nil {
			return nil, err
		}
	}
	return q.Issuer.Issue(ctx, csr)
}

// neededKey is where an order's context has the function that tells, by its error, that
// the order is not needed any more.
type neededKey struct{}

// errNoRevoker: an issuer that cannot revoke.
var errNoRevoker = errors.New("this issuer does not revoke")

// Revoke implements certmagic.Revoker.
func (q quiet) Revoke(ctx context.Context, cert certmagic.CertificateResource, reason int) error {
	if r, ok := q.Issuer.(certmagic.Revoker); ok {
		return r.Revoke(ctx, cert, reason)
	}
	return errNoRevoker
}

// errNoARI: an issuer that does not say when to renew.
var errNoARI = errors.New("this issuer has no renewal information")

// GetRenewalInfo implements certmagic.RenewalInfoGetter.
func (q quiet) GetRenewalInfo(ctx context.Context, cert certmagic.Certificate) (acme.RenewalInfo, error) {
	if g, ok := q.Issuer.(certmagic.RenewalInfoGetter); ok {
		return g.GetRenewalInfo(ctx, cert)
	}
	return acme.RenewalInfo{}, errNoARI
}

// mute is an issuer for what only serves: the cache's maintenance orders by itself, on
// every front door, what OCSP says is revoked, and would wait for it for a month.
type mute struct {
	certmagic.Issuer
	revoked func(name string)
}

// errMute: it is the leader that orders.
var errMute = errors.New("certificates are ordered by the front door that leads")

// Issue implements certmagic.Issuer.
func (m mute) Issue(_ context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	for _, name := range csr.DNSNames {
		m.revoked(name)
	}
	return nil, certmagic.ErrNoRetry{Err: errMute}
}

// Interface guards
var (
	_ certmagic.PreChecker        = quiet{}
	_ certmagic.Revoker           = quiet{}
	_ certmagic.RenewalInfoGetter = quiet{}
)
