// What tests do in certmagic's place.

package certificates

import "context"

// Maintain renews a certificate as the maintenance of certmagic's cache does where OCSP
// says that it is revoked.
func (s *Service) Maintain(ctx context.Context, name string) error {
	return s.keeper.magic.Load().config.RenewCertAsync(ctx, name, true)
}

// Revoked is told of a certificate that is revoked.
func (s *Service) Revoked(name string) { s.revoked(name) }
