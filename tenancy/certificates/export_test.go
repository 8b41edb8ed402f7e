// What tests do in certmagic's place.

package certificates

import (
	"context"
	"time"
)

// Maintain renews a certificate as the maintenance of certmagic's cache does where OCSP
// says that it is revoked.
func (s *Service) Maintain(ctx context.Context, name string) error {
	return s.keeper.magic.Load().config.RenewCertAsync(ctx, name, true)
}

// Resting is how long all work rests.
func (s *Service) Resting() time.Duration { return s.lead.Load().calm.left(s.Now()) }

// Busy tells whether the leader has something to do now, as far as it knows.
func (s *Service) Busy() bool {
	lead := s.lead.Load()
	if lead == nil {
		return true
	}
	select {
	case <-lead.counted:
		return lead.queue.busy(s.Now())
	default:
		return true
	}
}

// Renamed looks now whether the storage has another id than before.
func (s *Service) Renamed(ctx context.Context) bool { return s.renamed(ctx) }

// Revoked is told of a certificate that is revoked.
func (s *Service) Revoked(name string) { s.revoked(name) }
