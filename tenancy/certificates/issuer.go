// Quiet: an issuer that never asks the terminal, and is tried once.

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

// Issue keeps the request from an issuer whose order has been cancelled.
func (q quiet) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return q.Issuer.Issue(ctx, csr)
}

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

// Interface guards
var (
	_ certmagic.PreChecker        = quiet{}
	_ certmagic.Revoker           = quiet{}
	_ certmagic.RenewalInfoGetter = quiet{}
)
