// Leader: of the front doors that share a storage, the one that orders.

package certificates

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// DefaultLease is how long a leader that says nothing is waited for.
const DefaultLease = 30 * time.Second

// lease is the document by which one front door leads. No clock of another machine is
// read: who wants to take over has itself seen the same revision for as long as the
// lease lasts. Where two parts of a CouchDB cluster have a leader each for a while, the
// storage's locks keep them from ordering the same twice.
type lease struct {
	ID     string `json:"_id"`
	Rev    string `json:"_rev,omitempty"`
	Node   string `json:"node,omitempty"`   // for people
	Holder string `json:"holder,omitempty"` // nobody, where it was given up
	Beat   int64  `json:"beat"`             // goes up with each renewal
}

// leases are tried for one storage's lease.
type leases struct {
	cluster *couch.Cluster
	node    string
	holder  string // of this process alone
	id      string
	length  time.Duration
	now     func() time.Time

	seen   string // the revision of somebody else's lease
	seenAt time.Time
}

// try takes the lease, if nobody else has it. It is to be called again and again.
func (l *leases) try(ctx context.Context) (held *lease, err error) {
	now, err := l.read(ctx)
	switch {
	case errors.Is(err, couch.ErrNotFound):
		now = &lease{ID: l.id}
	case err != nil:
		return nil, err
	}
	if now.Holder != "" && now.Holder != l.holder {
		if now.Rev != l.seen {
			l.seen, l.seenAt = now.Rev, l.now()
			return nil, nil
		}
		if l.now().Sub(l.seenAt) < l.length {
			return nil, nil
		}
	}
	now.Node, now.Holder = l.node, l.holder
	if err := l.beat(ctx, now); err != nil {
		if errors.Is(err, couch.ErrConflict) { // somebody was quicker
			return nil, nil
		}
		return nil, err
	}
	return now, nil
}

func (l *leases) read(ctx context.Context) (*lease, error) {
	raw, err := l.cluster.Get(ctx, provision.TLSDB, l.id)
	if err != nil {
		return nil, err
	}
	now := new(lease)
	return now, json.Unmarshal(raw, now)
}

// beat writes the lease anew.
func (l *leases) beat(ctx context.Context, held *lease) error {
	held.Beat++
	rev, err := l.cluster.Put(ctx, provision.TLSDB, l.id, held)
	if err == nil {
		held.Rev = rev
	}
	return err
}

// keep renews the lease until ctx ends, and calls lost where it is another's, or may be.
// It is not held for longer than its length after the last renewal, also by a store that
// does not answer.
func (l *leases) keep(ctx context.Context, held *lease, log *zap.Logger, lost func()) {
	ticker := time.NewTicker(l.length / 3)
	defer ticker.Stop()
	last := l.now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		begun := l.now()
		call, cancel := context.WithTimeout(ctx, l.length/3)
		err := l.beat(call, held)
		if errors.Is(err, couch.ErrConflict) {
			// Perhaps with our own, whose answer was lost.
			now, e := l.read(call)
			switch {
			case e == nil && now.Holder == l.holder:
				*held, err = *now, nil
			case e == nil:
				cancel()
				log.Warn("another front door leads the orders of certificates now", zap.String("node", now.Node))
				lost()
				return
			}
		}
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			last = begun // others count from when they see it, which is not before
		case l.now().Sub(last) >= l.length*2/3:
			log.Warn("the lease on the orders of certificates cannot be renewed", zap.Error(err))
			lost()
			return
		}
	}
}

// giveUp lets another front door lead at once. Where that fails the lease ends by itself.
func (l *leases) giveUp(ctx context.Context, held *lease) {
	ctx, cancel := context.WithTimeout(ctx, min(l.length, couch.DefaultCallTimeout))
	defer cancel()
	held.Holder = ""
	if err := l.beat(ctx, held); !errors.Is(err, couch.ErrConflict) {
		return
	}
	// The last renewal was written, though its answer did not come.
	if now, err := l.read(ctx); err == nil && now.Holder == l.holder {
		now.Holder = ""
		_ = l.beat(ctx, now)
	}
}
