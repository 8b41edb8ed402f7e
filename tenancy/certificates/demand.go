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
	// maxWaiting bounds the handshakes that wait at a time, and maxOfOne those of one
	// client: who opens many does not keep others from theirs.
	maxWaiting = 1024
	maxOfOne   = maxWaiting / 4
	// demandTime is how long a handshake waits. Browsers wait longer.
	demandTime = 20 * time.Second
	// demandEvery is the pause before it looks first. It grows, up to demandMost.
	demandEvery = 100 * time.Millisecond
	demandMost  = 2 * time.Second
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
	if err := s.fruitless.of(name); err != nil {
		return nil, err
	}
	network := Network(client)
	if !s.waiting.enter(network) {
		s.counters.denied.Add(1)
		return nil, ErrBusy
	}
	defer s.waiting.leave(network)
	bounded, cancel := context.WithTimeout(ctx, demandTime)
	defer cancel()
	cert, err := s.demand(bounded, name, client)
	if errors.Is(err, ErrNone) && ctx.Err() == nil {
		s.fruitless.note(name, err)
	}
	return cert, err
}

// demand asks for a certificate and waits for it.
func (s *Service) demand(ctx context.Context, name string, client netip.Addr) (*tls.Certificate, error) {
	if err := s.ask(ctx, name, client); err != nil {
		return nil, err
	}
	for pause := demandEvery; sleep(ctx, pause); pause = min(pause*3/2, demandMost) {
		if cert, ok := s.keeper.kept(name); ok {
			return &cert.Certificate, nil
		}
		rec, err := s.Record(ctx, name)
		switch {
		case err != nil: // not written yet, or the store fails, and the storage may have it
		case s.hopeless(rec):
			return nil, fmt.Errorf("%w: %s", ErrNone, rec.Error)
		case !rec.Held():
			continue
		}
		if cert, err := s.keeper.load(ctx, name); !errors.Is(err, ErrNone) {
			return cert, err
		}
	}
	return nil, ErrNone
}

// hopeless tells whether nothing comes of a record while a handshake waits.
func (s *Service) hopeless(rec *Record) bool {
	switch rec.State {
	case Failed, Waiting:
		return s.Now().Before(rec.Next)
	case Pending: // for want of a budget
		return s.Now().Add(demandTime).Before(rec.Next)
	default:
		return false
	}
}

// ask makes the leader look at a name.
func (s *Service) ask(ctx context.Context, name string, client netip.Addr) error {
	owner, ok := s.Hosts.Owner(name)
	if !ok || owner.Deleting {
		return ErrNone
	}
	r, err := s.records(ctx)
	if err != nil {
		return err
	}
	rec, err := r.get(ctx, name)
	if err != nil {
		return err
	}
	if rec != nil {
		if s.hopeless(rec) {
			return fmt.Errorf("%w: %s", ErrNone, rec.Error)
		}
		if rec.State != Issued {
			s.Want(name)
			return nil // it is in the queue
		}
	}
	if clients := s.clients.Load(); clients != nil && !clients.take(client, s.Now()) {
		s.counters.denied.Add(1)
		return ErrBusy
	}
	if rec == nil {
		rec = &Record{Name: name, Wanted: s.Now()}
	}
	rec.lose() // one that was issued is not in the storage any more
	rec.Instance, rec.Parent, rec.Node, rec.State, rec.Next = owner.Instance, owner.Parent, s.Node, Pending, time.Time{}
	if err := r.put(ctx, rec); err != nil && !errors.Is(err, couch.ErrConflict) {
		return err
	}
	s.Want(name) // after it, since the leader passes over what it has written itself
	return nil
}
