// Stand: a front door's life with one configuration, as the leader or behind it.

package certificates

import (
	"context"
	"encoding/hex"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"
)

// standEvery is how often a front door looks whether it is to lead.
const standEvery = 5 * time.Second

// stand follows the records, waits to lead, and leads, until ctx ends.
func (s *Service) stand(ctx context.Context, settings *Settings) {
	r, ok := s.begin(ctx, settings)
	if !ok {
		return
	}
	var following sync.WaitGroup
	following.Go(func() { s.follow(ctx, r) })
	defer following.Wait()
	l := &leases{cluster: s.Cluster, node: s.Node, holder: s.holder, id: r.storage + "!leader", length: s.Lease, now: s.Now}
	for ctx.Err() == nil {
		held, err := l.try(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			s.Logger.Warn("the lease on the orders of certificates cannot be read", zap.Error(err))
			if s.Ensure != nil {
				_ = s.Ensure(ctx) // the database may have been taken away; the next try tells
			}
		case held != nil:
			s.leads(ctx, settings, r, l, held)
		}
		sleep(ctx, min(standEvery, s.Lease/3))
	}
}

// begin waits until the storage and the database of the records can be used.
func (s *Service) begin(ctx context.Context, settings *Settings) (r records, ok bool) {
	for ctx.Err() == nil {
		err := s.name()
		if err == nil {
			r, err = s.recordsOf(ctx, settings)
		}
		if err == nil && s.Ensure != nil {
			err = s.Ensure(ctx)
		}
		if err == nil {
			return r, true
		}
		if ctx.Err() == nil {
			s.Logger.Warn("the storage of certificates cannot be used yet", zap.Error(err))
		}
		sleep(ctx, standEvery)
	}
	return r, false
}

// name gives the service a name of its own, once. Two processes may have the same node,
// as while one takes the other's place.
func (s *Service) name() error {
	if s.holder != "" {
		return nil
	}
	var b [8]byte
	if _, err := io.ReadFull(s.random(), b[:]); err != nil {
		return err
	}
	s.holder = hex.EncodeToString(b[:])
	return nil
}

// leads does a leader's work until the lease, or ctx, ends.
func (s *Service) leads(ctx context.Context, settings *Settings, r records, l *leases, held *lease) {
	w := newLeading(s, settings, r)
	if w == nil { // another configuration is being taken up
		l.giveUp(context.WithoutCancel(ctx), held)
		return
	}
	s.Logger.Info("this front door leads the orders of certificates")
	term, lost := context.WithCancel(ctx)
	var kept sync.WaitGroup
	kept.Go(func() { l.keep(term, held, s.Logger, lost) })
	s.lead.Store(w)
	w.take(s.keeper.magic.Load()) // what has changed since, and goes on
	w.run(term)
	s.lead.Store(nil)
	gone := term.Err() != nil && ctx.Err() == nil // lost, and not given up
	lost()
	kept.Wait()
	if !gone {
		l.giveUp(context.WithoutCancel(ctx), held)
	}
}
