// Free: a deletion that is given up.

package lifecycle

import (
	"context"
	"slices"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

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
		return s.unflag(ctx, inst, Operation{Databases: 1})
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
	db, err := s.of(inst)
	if err != nil {
		return nil, err
	}
	found, err := databasesOf(ctx, db, inst.Prefix())
	if err != nil {
		return nil, err
	}
	return s.edit(ctx, inst.ID(), func(inst *tenancy.Instance) error {
		inst.Unset("deleting")
		if lost(inst.Prefix(), found, op.Databases) {
			inst.Set("blocked", true)
			inst.Set("blocking_reason", string(tenancy.ReasonDeletionFailed))
		}
		return nil
	})
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
