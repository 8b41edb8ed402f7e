// Destroy: the end of an instance.

package lifecycle

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Destroy drops an instance: the flag `deleting` first, so that no visitor sees
// it half gone, then every database with its prefix, its document, and last the
// claims on its names. A second Destroy is a tenancy.ErrConflict while the first
// is at work, and finishes it when that has died.
func (s *Service) Destroy(ctx context.Context, domain string, progress Progress) error {
	if err := s.Ensure(ctx); err != nil {
		return err
	}
	inst, err := s.Get(ctx, domain)
	if errors.Is(err, tenancy.ErrNotFound) {
		return s.resumeGone(ctx, domain, progress)
	}
	if err != nil {
		return err
	}
	prior, err := s.operation(ctx, opID("destroy", inst.ID()))
	if err != nil {
		return err
	}
	switch {
	case prior != nil && prior.live(s.now()):
		return tenancy.Conflictf("The deletion has already been requested: %s is at it", prior.Node)
	case prior != nil && !prior.finished():
		_, err := s.finishDestroy(ctx, prior, progress)
		return err
	case inst.State() == tenancy.Deleting:
		return tenancy.Conflictf("The deletion has already been requested, but not here: a stack may be at it; when it is not, take the flag off with --deleting=false first")
	}
	op := Operation{
		Verb: "destroy", Domain: inst.Domain(), Instance: inst.ID(), Prefix: inst.Prefix(), Cluster: inst.Cluster(),
		ID: opID("destroy", inst.ID()),
	}
	if prior != nil { // one that was given up, and is begun anew
		op.Rev = prior.Rev
	}
	for _, name := range inst.Names() {
		if key, ok := tenancy.HostKey(name); ok && !slices.Contains(op.Names, key) {
			op.Names = append(op.Names, key)
		}
	}
	if db, err := s.clusters.Of(op.Cluster); err != nil {
		return err
	} else if found, err := db.ListDBs(ctx, databasePattern(op.Prefix)); err != nil {
		return err
	} else {
		op.Databases = len(found)
	}
	started, err := s.finishDestroy(ctx, &op, progress)
	if !started && errors.Is(err, couch.ErrConflict) {
		return tenancy.Conflictf("The deletion has already been requested a moment ago")
	}
	return err
}

// databasePattern is how the names of an instance's databases begin. A server
// that leaves the slash out of its list must be understood as well.
func databasePattern(prefix string) string {
	p := provision.DatabasePrefix(prefix)
	return p[:len(p)-1]
}

// resumeGone finishes a destroy that had got as far as the document, so that
// only its claims and its operation are left.
func (s *Service) resumeGone(ctx context.Context, domain string, progress Progress) error {
	key, ok := tenancy.HostKey(domain)
	if !ok {
		return tenancy.ErrNotFound
	}
	claims, err := s.claims(ctx, []string{key})
	if err != nil {
		return err
	}
	c, ok := claims[key]
	if !ok {
		return tenancy.ErrNotFound
	}
	prior, err := s.operation(ctx, opID("destroy", c.Instance))
	if err != nil {
		return err
	}
	if prior == nil || prior.finished() {
		return tenancy.ErrNotFound
	}
	if prior.live(s.now()) {
		return tenancy.Conflictf("The deletion has already been requested: %s is at it", prior.Node)
	}
	_, err = s.finishDestroy(ctx, prior, progress)
	return err
}

// finishDestroy runs a destroy, new or taken over, to its end. started is false
// where another front door was quicker to begin it.
func (s *Service) finishDestroy(ctx context.Context, op *Operation, progress Progress) (started bool, err error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	var prior *Operation
	if op.Rev != "" {
		prior = op
	}
	h, err := s.begin(ctx, *op, prior)
	if err != nil {
		return false, err
	}
	err = s.unmake(ctx, h, progress)
	cleanup, cancel := detach(ctx)
	defer cancel()
	if err != nil {
		if e := h.end(cleanup, opFailed, err); e != nil {
			s.log.Warn("writing the end of an operation", zap.String("operation", op.ID), zap.Error(e))
		}
		return true, err
	}
	return true, h.end(cleanup, opDone, nil)
}

// unmake does the steps of a destroy. Each can be done twice.
func (s *Service) unmake(ctx context.Context, h *held, progress Progress) error {
	db, err := s.clusters.Of(h.op.Cluster)
	if err != nil {
		return err
	}
	progress("flag", 0, 0)
	_, err = s.edit(ctx, h.op.Instance, func(inst *tenancy.Instance) error {
		inst.Set("deleting", true)
		return nil
	})
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	h.step("flag")
	if err := h.fence(ctx); err != nil {
		return err
	}
	if err := s.dropDatabases(ctx, db, h.op.Prefix, progress); err != nil {
		return err
	}
	h.step("databases")
	if err := h.fence(ctx); err != nil {
		return err
	}
	progress("record", 0, 1)
	if err := s.removeRecord(ctx, h.op.Instance); err != nil {
		return err
	}
	h.step("record")
	if err := s.unclaim(ctx, h.op.Names, func(c Claim) bool { return c.Instance == h.op.Instance }); err != nil {
		return err
	}
	h.step("claims")
	progress("record", 1, 1)
	return nil
}

// dropDatabases drops the databases of every known doctype, and whatever else
// the list shows under the prefix: a list may lag, or leave some out.
func (s *Service) dropDatabases(ctx context.Context, db *couch.Cluster, prefix string, progress Progress) error {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	found, err := db.ListDBs(ctx, provision.DatabasePrefix(prefix))
	if err != nil {
		return err
	}
	for _, doctype := range provision.Doctypes {
		found = append(found, provision.DatabaseName(prefix, doctype))
	}
	slices.Sort(found)
	found = slices.Compact(found)
	var done atomic.Int32
	progress("databases", 0, len(found))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.parallel)
	for _, name := range found {
		group.Go(func() error {
			if _, err := db.DestroyDB(ctx, name); err != nil {
				return err
			}
			progress("databases", int(done.Add(1)), len(found))
			return nil
		})
	}
	return group.Wait()
}

// removeRecord deletes the instance's document, whatever its revision is by now.
func (s *Service) removeRecord(ctx context.Context, id string) error {
	for range conflictRetries {
		inst, err := s.byID(ctx, id)
		if errors.Is(err, couch.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		rev, err := s.global.Delete(ctx, provision.InstancesDB, id, inst.Rev())
		if err == nil {
			s.dir.Remove(id, rev)
			return nil
		}
		if !errors.Is(err, couch.ErrConflict) && !errors.Is(err, couch.ErrNotFound) {
			return err
		}
	}
	return tenancy.Conflictf("the instance's document is being changed by others; %d tries to delete it met another change", conflictRetries)
}

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
	incomplete := false
	if prior != nil && !prior.finished() {
		db, err := s.clusters.Of(prior.Cluster)
		if err != nil {
			return nil, err
		}
		found, err := db.ListDBs(ctx, databasePattern(prior.Prefix))
		if err != nil {
			return nil, err
		}
		incomplete = len(found) < prior.Databases
		h, err := s.begin(ctx, *prior, prior)
		if err != nil {
			return nil, err
		}
		defer func() {
			cleanup, cancel := detach(ctx)
			defer cancel()
			if err := h.end(cleanup, opUndone, nil); err != nil {
				s.log.Warn("writing the end of an operation", zap.String("operation", prior.ID), zap.Error(err))
			}
		}()
	}
	return s.edit(ctx, inst.ID(), func(inst *tenancy.Instance) error {
		inst.Unset("deleting")
		if incomplete {
			inst.Set("blocked", true)
			inst.Set("blocking_reason", string(tenancy.ReasonDeletionFailed))
		}
		return nil
	})
}
