// Journal: the reading of unfinished operations, the going on with one, and the
// tending of those that front doors have left.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// walkOperations gives all of the journal to fn, and what of it cannot be read to
// unreadable, which may be nil.
func (s *Service) walkOperations(ctx context.Context, fn func(Operation) error, unreadable func(id string, err error) error) error {
	err := s.global.Walk(ctx, provision.OperationsDB, couch.Range{}, func(row couch.Row) error {
		if isDesign(row.ID) {
			return nil
		}
		var op Operation
		if err := json.Unmarshal(row.Doc, &op); err != nil {
			// Of a newer front door, say. It must not hold up all others.
			s.log.Error("an operation in the journal cannot be read", zap.String("operation", row.ID), zap.Error(err))
			if unreadable != nil {
				return unreadable(row.ID, err)
			}
			return nil
		}
		if op.finished() { // of a front door that left them here
			return nil
		}
		return fn(op)
	})
	if errors.Is(err, couch.ErrNotFound) { // no database yet
		return nil
	}
	return err
}

// Operations gives those of the journal to fn that nobody is at any more, or with
// all also those under way. What has ended is in the audit; see History.
func (s *Service) Operations(ctx context.Context, all bool, fn func(Operation) error) error {
	return s.walkOperations(ctx, func(op Operation) error {
		if !all && op.live(s.now()) {
			return nil
		}
		return fn(op)
	}, nil)
}

// resume goes on with an operation that nobody is at: it finishes it, or takes it
// back. Somebody who was quicker makes a tenancy.ErrConflict.
func (s *Service) resume(ctx context.Context, op Operation) error {
	switch op.Verb {
	case "add":
		_, err := s.byID(ctx, op.Instance)
		if err == nil {
			return s.finishAdd(ctx, &op)
		}
		if !errors.Is(err, couch.ErrNotFound) {
			return err
		}
		if err = s.undoAdd(ctx, &op); errors.Is(err, tenancy.ErrExists) {
			return nil // its last write came late, but came
		}
		return err
	case "destroy":
		inst, err := s.byID(ctx, op.Instance)
		if err != nil && !errors.Is(err, couch.ErrNotFound) {
			return err
		}
		switch {
		case err == nil && op.Freeing:
			_, err = s.finishFree(ctx, inst, &op)
		case err == nil && inst.State() != tenancy.Deleting:
			// Not begun, or freed by a stack: only who asks for it sets the flag.
			err = s.closeOperation(ctx, &op, opUndone)
		default:
			_, err = s.finishDestroy(ctx, &op, nil, nil)
		}
		return err
	case "hook":
		return s.redeliver(ctx, op)
	case verbPassphrase:
		return s.resumePassphrase(ctx, op)
	case "modify":
		if err := s.giveBack(ctx, op); err != nil {
			return err
		}
	}
	return s.closeOperation(ctx, &op, opUndone)
}

// redeliver tells a hook that has failed, or whose front door has died, once more.
func (s *Service) redeliver(ctx context.Context, op Operation) error {
	op.Tries = 0 // who is killed in this leaves it to be tried as a new one
	op, err := s.keepEvent(ctx, op, opRunning, nil, 0)
	if err != nil {
		return err
	}
	if err := s.deliverOnce(ctx, op); err != nil {
		end, cancel := detach(ctx)
		defer cancel()
		_, e := s.keepEvent(end, op, opFailed, err, 0)
		return errors.Join(err, e)
	}
	_, err = s.global.Delete(ctx, provision.OperationsDB, op.ID, op.Rev)
	return err
}

// tendEvery is how often Tend looks at the journal.
const tendEvery = time.Minute

// Tend goes on with operations whose front doors have died, and delivers the
// events that they left, until ctx ends. Operations that have failed are for a
// person: run the command again, or Repair.
func (s *Service) Tend(ctx context.Context) {
	for {
		// Spread, so that the front doors of a fleet do not all come at once.
		spread := time.Duration(s.random(1)[0]) * tendEvery / 256
		if !s.sleep(ctx, tendEvery/2+spread) {
			return
		}
		s.TendOnce(ctx)
	}
}

// TendOnce is one round of Tend. It does nothing while the directory is being loaded:
// what ends an operation has to know the other instances.
func (s *Service) TendOnce(ctx context.Context) {
	if !s.dir.Loaded() {
		return
	}
	err := s.walkOperations(ctx, func(op Operation) error {
		if op.State != opRunning || op.live(s.now()) {
			return nil
		}
		if op.Verb == "hook" {
			s.takeEvent(ctx, op)
			return nil
		}
		err := s.resume(ctx, op)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, tenancy.ErrConflict): // another front door is at it
		case err != nil:
			s.log.Error("going on with an operation whose front door has died", zap.String("operation", op.ID), zap.String("domain", op.Domain), zap.Error(err))
		default:
			s.log.Info("ended an operation whose front door had died", zap.String("operation", op.ID), zap.String("domain", op.Domain), zap.String("node", op.Node))
		}
		return nil
	}, nil)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("the journal cannot be read", zap.Error(err))
	}
}

// takeEvent takes over an event that nobody delivers any more.
func (s *Service) takeEvent(ctx context.Context, op Operation) {
	s.outbox.mu.Lock()
	known := s.outbox.known[op.ID]
	s.outbox.mu.Unlock()
	if known {
		return
	}
	if op, err := s.keepEvent(ctx, op, opRunning, nil, 0); err == nil {
		s.enqueue(op)
	}
}
