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
	ID   string `json:"_id"`
	Rev  string `json:"_rev,omitempty"`
	Node string `json:"node,omitempty"` // nobody, where it was given up
	Beat int64  `json:"beat"`           // goes up with each renewal
}

// leases are tried for one storage's lease.
type leases struct {
	cluster *couch.Cluster
	node    string
	id      string
	length  time.Duration
	now     func() time.Time

	seen   string // the revision of somebody else's lease
	seenAt time.Time
}

// try takes the lease, if nobody else has it. It is to be called again and again.
func (l *leases) try(ctx context.Context) (held *lease, err error) {
	now := lease{ID: l.id}
	raw, err := l.cluster.Get(ctx, provision.TLSDB, l.id)
	switch {
	case errors.Is(err, couch.ErrNotFound):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(raw, &now); err != nil {
			return nil, err
		}
	}
	if now.Node != "" && now.Node != l.node {
		if now.Rev != l.seen {
			l.seen, l.seenAt = now.Rev, l.now()
			return nil, nil
		}
		if l.now().Sub(l.seenAt) < l.length {
			return nil, nil
		}
	}
	now.Node = l.node
	if err := l.beat(ctx, &now); err != nil {
		if errors.Is(err, couch.ErrConflict) { // somebody was quicker
			return nil, nil
		}
		return nil, err
	}
	return &now, nil
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
		err := l.beat(ctx, held)
		switch {
		case err == nil:
			last = l.now()
			continue
		case ctx.Err() != nil:
			return
		case errors.Is(err, couch.ErrConflict):
			// Perhaps with our own, whose answer was lost.
			raw, e := l.cluster.Get(ctx, provision.TLSDB, l.id)
			var now lease
			if e == nil && json.Unmarshal(raw, &now) == nil && now.Node == l.node {
				held.Rev, last = now.Rev, l.now()
				continue
			}
			log.Warn("another front door leads the orders of certificates now")
			lost()
			return
		case l.now().Sub(last) > l.length*2/3:
			log.Warn("the lease on the orders of certificates cannot be renewed", zap.Error(err))
			lost()
			return
		}
	}
}

// giveUp lets another front door lead at once.
func (l *leases) giveUp(ctx context.Context, held *lease) {
	held.Node = ""
	_ = l.beat(ctx, held) // else it ends by itself
}
