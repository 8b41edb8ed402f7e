// Adoption: the claims of instances that a stack makes, which knows none. Each
// front door that sees such a record claims its names.

package caddymodule

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

const (
	// adoptionQueue bounds the records that wait; the command adopt is for more.
	adoptionQueue = 10_000
	// adoptionTime bounds the claiming of one record's names.
	adoptionTime = 30 * time.Second
	// adoptionSpread is how far the front doors of a fleet are apart at the same record,
	// so that mostly one of them writes.
	adoptionSpread = 2 * time.Second
)

// adoption claims the names of records that others have made.
type adoption struct {
	log   *zap.Logger
	queue chan string // documents' ids
	ours  sync.Map    // ids that this node is applying to its directory just now
}

func newAdoption(log *zap.Logger) *adoption {
	return &adoption{log: log, queue: make(chan string, adoptionQueue)}
}

// own says that a record is this node's, which has claimed its names, until done
// is called.
func (a *adoption) own(id string) (done func()) {
	a.ours.Store(id, nil)
	return func() { a.ours.Delete(id) }
}

// see is told of each change in the directory. It never waits.
func (a *adoption) see(old, new directory.Entry) {
	if new.IsZero() || !old.IsZero() && old.Key() == new.Key() && slices.Equal(old.Aliases(), new.Aliases()) {
		return
	}
	id := new.ID()
	if _, ours := a.ours.Load(id); ours {
		return
	}
	select {
	case a.queue <- id:
	default:
		a.log.Warn("too many new records at once to claim their names; `instances adopt` does it", zap.String("domain", new.Domain()))
	}
}

// run claims until ctx ends.
func (a *adoption) run(ctx context.Context, s *lifecycle.Service) {
	for {
		select {
		case id := <-a.queue:
			select {
			case <-time.After(time.Duration(rand.Int64N(int64(adoptionSpread)))):
			case <-ctx.Done():
				return
			}
			a.adopt(ctx, s, id)
			for range len(a.queue) { // those that came meanwhile have waited as well
				a.adopt(ctx, s, <-a.queue)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (a *adoption) adopt(ctx context.Context, s *lifecycle.Service, id string) {
	ctx, cancel := context.WithTimeout(ctx, adoptionTime)
	defer cancel()
	if err := s.AdoptOne(ctx, id); err != nil && ctx.Err() == nil {
		a.log.Warn("claiming the names of a record that was made elsewhere", zap.String("document", id), zap.Error(err))
	}
}
