// Free: a deletion that is given up.

package lifecycle

import (
	"context"
	"slices"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// aStacks is a deletion that is not in the journal: it is a stack's, of which it is not
// known how many databases there were.
var aStacks = Operation{Databases: 1}

// free takes the flag `deleting` off again. An instance that has lost databases
// comes back blocked, not served half-empty.
func (s *Service) free(ctx context.Context, inst *tenancy.Instance) (*tenancy.Instance, error) {
	prior, err := s.operation(ctx, opID("destroy", inst.ID()))
	if err != nil {
		return nil, err
	}
	if prior != nil && prior.live(s.now()) {
		return nil, tenancy.Conflictf("the deletion is under way on %s", prior.Node)
	}
	if prior == nil || prior.finished() { // a stack's flag
		return s.unflag(ctx, inst, aStacks)
	}
	return s.finishFree(ctx, inst, prior)
}

// finishFree gives a destroy up. From its first write on nobody goes on with the
// destroy by himself, whatever becomes of this process.
func (s *Service) finishFree(ctx context.Context, inst *tenancy.Instance, prior *Operation) (*tenancy.Instance, error) {
	op := *prior
	op.Freeing = true
	h, err := s.begin(ctx, op, prior)
	if err != nil {
		return nil, err
	}
	var freed *tenancy.Instance
	err = h.fenced(ctx, func(ctx context.Context) (err error) {
		freed, err = s.unflag(ctx, inst, op)
		return err
	})
	cleanup, cancel := detach(ctx)
	defer cancel()
	state := opUndone
	if err != nil {
		state = opFailed // so that it can be freed, or resumed, as before
	}
	s.warnEnd(h, h.end(cleanup, state, err))
	return freed, err
}

// unflag writes what becomes of an instance whose deletion is given up.
func (s *Service) unflag(ctx context.Context, inst *tenancy.Instance, op Operation) (*tenancy.Instance, error) {
	freed, err := s.freed(ctx, inst, op)
	if err != nil {
		return nil, err
	}
	return s.edit(ctx, inst.ID(), func(inst *tenancy.Instance) error {
		freed(inst)
		return nil
	})
}

// freed looks at an instance's databases, and is the edit that gives its deletion up.
func (s *Service) freed(ctx context.Context, inst *tenancy.Instance, op Operation) (func(*tenancy.Instance), error) {
	db, err := s.of(inst)
	if err != nil {
		return nil, err
	}
	found, err := databasesOf(ctx, db, inst.Prefix())
	if err != nil {
		return nil, err
	}
	return func(inst *tenancy.Instance) {
		inst.Unset("deleting")
		if lost(inst.Prefix(), found, op.Databases) {
			inst.Set("blocked", true)
			inst.Set("blocking_reason", string(tenancy.ReasonDeletionFailed))
		}
	}, nil
}

// previewFree is what free would make of an instance.
func (s *Service) previewFree(ctx context.Context, inst *tenancy.Instance) (func(*tenancy.Instance), error) {
	op := aStacks
	prior, err := s.operation(ctx, opID("destroy", inst.ID()))
	if err != nil {
		return nil, err
	}
	if prior != nil && !prior.finished() {
		op = *prior
	}
	return s.freed(ctx, inst, op)
}

// lost tells whether an instance has lost databases to a deletion, which found so
// many: a stack may have made others since.
func lost(prefix string, found []string, databases int) bool {
	if len(found) < databases {
		return true
	}
	if databases < len(provision.Doctypes) { // it had not got all of them
		return false
	}
	return slices.ContainsFunc(provision.Doctypes, func(doctype string) bool {
		return !listed(found, provision.DatabaseName(prefix, doctype))
	})
}
