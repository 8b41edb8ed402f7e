// Demand: a handshake for a name that has no certificate yet.

package certificates

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

const (
	// maxWaiting bounds the handshakes that wait at a time.
	maxWaiting = 256
	// demandTime is how long a handshake waits. Browsers wait longer.
	demandTime = 20 * time.Second
	// demandEvery is how often it looks.
	demandEvery = 250 * time.Millisecond
)

// ErrBusy: too many handshakes wait for a certificate, or one client has asked for too
// many.
var ErrBusy = errors.New("too many certificates are being asked for; try again later")

// Demand waits for the certificate of a name that has none. It is ordered by the leader,
// which knows of the names of instances by itself; of the host of an app it is told
// here, within the budget of the client's address. The caller has checked that the name
// may have a certificate.
func (s *Service) Demand(ctx context.Context, name string, client netip.Addr) (*tls.Certificate, error) {
	settings := s.settings.Load()
	if settings == nil || !settings.qualifies(name) {
		return nil, ErrNone
	}
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, demandTime)
	defer cancel()
	if err := s.ask(ctx, name, client); err != nil {
		return nil, err
	}
	for sleep(ctx, demandEvery) {
		cert, err := s.keeper.get(ctx, name)
		if !errors.Is(err, ErrNone) {
			return cert, err
		}
		if rec, err := s.Record(ctx, name); err == nil && (rec.State == Failed || rec.State == Waiting) {
			return nil, fmt.Errorf("%w: %s", ErrNone, rec.Error)
		}
	}
	return nil, ErrNone
}

// ask makes the leader look at a name.
func (s *Service) ask(ctx context.Context, name string, client netip.Addr) error {
	owner, ok := s.Hosts.Owner(name)
	if !ok || owner.Deleting {
		return ErrNone
	}
	s.Want(name)
	r, err := s.records(ctx)
	if err != nil {
		return err
	}
	rec, err := r.get(ctx, name)
	if err != nil {
		return err
	}
	if rec != nil {
		if (rec.State == Failed || rec.State == Waiting) && s.Now().Before(rec.Next) {
			return fmt.Errorf("%w: %s", ErrNone, rec.Error)
		}
		if rec.State != Issued {
			return nil // it is in the queue
		}
	}
	if budget := s.clients.Load(); budget != nil && !budget.take(clientKey(client), s.Now()) {
		s.counters.denied.Add(1)
		return ErrBusy
	}
	if rec == nil {
		rec = &Record{Name: name, Wanted: s.Now()}
	}
	// One that was issued is not in the storage any more.
	rec.Instance, rec.Parent, rec.Node, rec.State = owner.Instance, owner.Parent, s.Node, Pending
	rec.NotAfter, rec.RenewAt, rec.Next = time.Time{}, time.Time{}, time.Time{}
	if err := r.put(ctx, rec); err != nil && !errors.Is(err, couch.ErrConflict) {
		return err
	}
	return nil
}

// clientKey is what is counted for a client: an IPv4 address, or the network that an
// IPv6 client has for itself.
func clientKey(client netip.Addr) string {
	client = client.Unmap()
	if client.Is6() {
		if network, err := client.Prefix(64); err == nil {
			return network.String()
		}
	}
	return client.String()
}
