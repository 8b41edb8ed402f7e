// Undo: what becomes of an add that was not done in one go: it is taken back, or
// gone on with.

package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// lastWrite is the failure to write the record.
type lastWrite struct{ error }

func (l *lastWrite) Unwrap() error { return l.error }

// unanswered tells whether a write may still be done by a server that has it.
func unanswered(err error) bool {
	return errors.Is(err, tenancy.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// abandon takes an add back that failed in this process. Where that fails too,
// the operation stays in the journal, and the next to meet it undoes it. Where the
// document is there after all, and only the answer was lost, the add is done.
func (s *Service) abandon(ctx context.Context, h *held, cause error) (*Added, error) {
	var last *lastWrite
	if errors.As(cause, &last) && unanswered(cause) {
		// The record may still come, by a server that is slow: what is taken back now
		// would be missed by it. After the lease whoever meets the operation sees.
		inst, err := s.byID(ctx, h.operation().Instance)
		if err != nil {
			h.stepped("record", cause)
			s.warnEnd(h, h.note(ctx))
			h.leave()
			return nil, cause
		}
		s.dir.Apply(inst)
		return s.conclude(ctx, h, inst, func(string, int, int) {}), nil
	}
	inst, err := s.dropAdded(ctx, h)
	switch {
	case err == nil && inst != nil:
		s.dir.Apply(inst)
		return s.conclude(ctx, h, inst, func(string, int, int) {}), nil
	case err != nil:
		s.log.Error("taking a failed add back", zap.String("domain", h.operation().Domain), zap.Error(err))
		err = h.end(ctx, opFailed, fmt.Errorf("%w; and taking it back: %w", cause, err))
	default:
		err = h.end(ctx, opUndone, cause)
	}
	s.warnEnd(h, err)
	return nil, cause
}

// undoAdd takes an add back that another front door did not finish.
func (s *Service) undoAdd(ctx context.Context, prior *Operation) error {
	h, err := s.begin(ctx, *prior, prior)
	if err != nil {
		return err
	}
	s.log.Info("undoing an unfinished add", zap.String("domain", prior.Domain), zap.String("node", prior.Node))
	inst, err := s.dropAdded(ctx, h)
	cleanup, cancel := detach(ctx)
	defer cancel()
	if err != nil {
		return errors.Join(err, h.end(cleanup, opFailed, err))
	}
	if inst != nil { // its last write came late, but came
		s.dir.Apply(inst)
		s.conclude(ctx, h, inst, func(string, int, int) {})
		return tenancy.Existsf("%s: %s", tenancy.ErrExists, inst.Domain())
	}
	return h.end(cleanup, opUndone, nil)
}

// finishAdd does what an add, whose record is there, has not come to.
func (s *Service) finishAdd(ctx context.Context, prior *Operation) error {
	h, err := s.begin(ctx, *prior, prior)
	if err != nil {
		return err
	}
	cleanup, cancel := detach(ctx)
	defer cancel()
	inst, err := s.byID(ctx, prior.Instance)
	if err != nil {
		return errors.Join(err, h.end(cleanup, opFailed, err))
	}
	s.conclude(ctx, h, inst, func(string, int, int) {})
	return nil
}

// dropAdded removes what an add has made: the databases, then the claims. An
// add whose document is there has made an instance, which it returns.
func (s *Service) dropAdded(ctx context.Context, h *held) (*tenancy.Instance, error) {
	op := h.operation()
	inst, err := s.byID(ctx, op.Instance)
	if err == nil {
		return inst, nil
	}
	if !errors.Is(err, couch.ErrNotFound) {
		return nil, err
	}
	claims, err := s.claims(ctx, op.Names[:1])
	if err != nil {
		return nil, err
	}
	// Only the owner of the domain has made databases with its prefix.
	if c, ok := claims[op.Names[0]]; ok && c.Operation == op.ID {
		if err := s.dropUnowned(ctx, h, op); err != nil {
			return nil, err
		}
	}
	return nil, h.fenced(ctx, func(ctx context.Context) error {
		return s.unclaim(ctx, op.Names, func(c Claim) bool { return c.Operation == op.ID })
	})
}

// dropUnowned drops the databases of an add, unless an instance has them: a stack
// knows no claims, and may have made the same domain at the same time.
func (s *Service) dropUnowned(ctx context.Context, h *held, op Operation) error {
	databases, files, err := s.others(ctx, op)
	if err != nil {
		return err
	}
	if databases {
		return nil
	}
	db, err := s.clusters.Of(op.Cluster)
	if err != nil {
		return err
	}
	if own, here := h.own(); here {
		// Just those: what else is there is of a stack that is at the same domain.
		for _, name := range own {
			err := h.fenced(ctx, func(ctx context.Context) error {
				_, err := db.DestroyDB(ctx, name)
				return err
			})
			if err != nil {
				return err
			}
		}
		if found, err := databasesOf(ctx, db, op.Prefix); err != nil || len(found) > 0 {
			return err
		}
	} else if err := s.dropDatabases(ctx, h, db, op.Prefix, nil, nil); err != nil {
		return err
	}
	if files {
		return nil
	}
	return s.removeFiles(ctx, h, op)
}
