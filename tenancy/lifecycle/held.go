// Held: the lease under which one front door works at an operation.

package lifecycle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// held is an operation that this node works at. Its methods are safe for
// concurrent use.
type held struct {
	s    *Service
	quit chan struct{}
	done chan struct{}

	mu    sync.Mutex
	op    Operation
	until time.Time // the lease, as the journal has it
	tried string    // a lease whose writing was not answered, or empty
	lost  bool      // another node has taken it over
	begun bool      // by this process, from the beginning
	made  []string  // databases that this process has made for it

	guard  context.Context // ends when the lease is lost
	unlock context.CancelFunc
}

// write puts the operation as it is, with a fresh lease; h.mu may be held by
// nobody else yet, or by the caller.
func (h *held) write(ctx context.Context) error {
	err := h.s.retried(ctx, func() error { return h.put(ctx) })
	if errors.Is(err, couch.ErrConflict) && h.tried != "" {
		// Perhaps with our own write, whose answer was lost.
		now, e := h.s.operation(ctx, h.op.ID)
		if e == nil && now != nil && now.Node == h.op.Node && now.Lease == h.tried {
			h.op.Rev = now.Rev
			err = h.put(ctx)
		}
	}
	return err
}

func (h *held) put(ctx context.Context) error {
	until := h.s.now().Add(h.s.lease)
	op := h.op
	op.Lease = until.UTC().Format(time.RFC3339Nano)
	rev, err := h.s.global.Put(ctx, provision.OperationsDB, op.ID, op)
	if err != nil {
		if !errors.Is(err, couch.ErrConflict) && !errors.Is(err, couch.ErrNotFound) {
			h.tried = op.Lease
		}
		return err
	}
	h.op.Rev, h.op.Lease, h.until, h.tried = rev, op.Lease, until, ""
	return nil
}

// renew keeps the lease alive.
func (h *held) renew(ctx context.Context) {
	defer close(h.done)
	defer h.unlock()
	ticker := time.NewTicker(h.s.lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-h.quit:
			return
		case <-ticker.C:
			h.mu.Lock()
			err := h.write(ctx)
			if errors.Is(err, couch.ErrConflict) {
				h.lost = true
			}
			lost := h.lost || h.s.now().After(h.until) // or nobody can tell
			h.mu.Unlock()
			if err != nil {
				h.s.log.Warn("renewing the lease of an operation", zap.String("operation", h.op.ID), zap.Error(err))
			}
			if lost {
				h.unlock()
			}
			if h.isLost() {
				return
			}
		}
	}
}

// step notes a finished step. The journal has it at the latest with the next
// renewal.
func (h *held) step(name string) { h.stepped(name, nil) }

// mine notes a database that this process has made for the operation.
func (h *held) mine(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made = append(h.made, name)
}

// own are the databases that were made for the operation; here is false where
// another front door made them.
func (h *held) own() (names []string, here bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.made, h.begun
}

// note writes the operation now, with the steps so far.
func (h *held) note(ctx context.Context) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.write(ctx)
	if errors.Is(err, couch.ErrConflict) {
		h.lost = true
		return tenancy.Conflictf("another front door has taken over this %s of %s", h.op.Verb, h.op.Domain)
	}
	return err
}

// giveUp notes that a destroy is not to go on.
func (h *held) giveUp(ctx context.Context) {
	h.mu.Lock()
	h.op.Freeing = true
	h.mu.Unlock()
	if err := h.note(ctx); err != nil {
		h.s.warnEnd(h, err)
	}
}

// also makes names the operation's that are not yet, in the journal too, and gives
// the operation as it is then.
func (h *held) also(ctx context.Context, keys []string) (Operation, error) {
	h.mu.Lock()
	grown := slices.Clone(h.op.Names)
	for _, key := range keys {
		if !slices.Contains(grown, key) {
			grown = append(grown, key)
		}
	}
	same := len(grown) == len(h.op.Names)
	h.op.Names = grown
	h.mu.Unlock()
	if same {
		return h.operation(), nil
	}
	return h.operation(), h.note(ctx)
}

// leave stops working at the operation without ending it: whoever meets it after
// the lease goes on with it.
func (h *held) leave() {
	close(h.quit)
	<-h.done
}

// did tells whether a step is finished, by this node or one before.
func (h *held) did(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.op.Steps {
		if s.Name == name && s.Error == "" {
			return true
		}
	}
	return false
}

// stepped notes a step with its error, if it has one.
func (h *held) stepped(name string, cause error) {
	text := ""
	if cause != nil {
		text = cause.Error()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.op.Steps = append(h.op.Steps, Step{Name: name, At: h.s.stamp(), Node: h.s.node, Error: text})
}

// fence fails when this node may no longer be the only one at the operation. It
// is asked before each effect that another node must not meet: a process that was
// stopped for a while must not go on with what has been undone meanwhile.
//
// The context that it returns ends with the lease, so that no request outlasts it,
// and not with ctx: a request that is given up may still be done later, by a server
// that has it, after what it did was to be taken back.
func (h *held) fence(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx = context.WithoutCancel(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.lost && h.until.Sub(h.s.now()) <= h.s.lease/3 {
		if err := h.write(ctx); errors.Is(err, couch.ErrConflict) {
			h.lost = true
		} else if err != nil {
			return nil, nil, err
		}
	}
	if h.lost {
		return nil, nil, tenancy.Conflictf("another front door has taken over this %s of %s", h.op.Verb, h.op.Domain)
	}
	ctx, cancel := context.WithTimeout(ctx, h.until.Sub(h.s.now()))
	return ctx, cancel, nil
}

func (h *held) isLost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

// guarded is ctx, which also ends when the lease is lost, for an effect that can
// take longer than one.
func (h *held) guarded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.guard, func() { cancel(tenancy.Conflictf("the lease of the %s of %s is lost", h.op.Verb, h.op.Domain)) })
	return ctx, func() { stop(); cancel(nil) }
}

// fenced does one effect under the fence.
func (h *held) fenced(ctx context.Context, effect func(ctx context.Context) error) error {
	ctx, cancel, err := h.fence(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return effect(ctx)
}

// end stops the renewal and writes how it ended: in the audit, and out of the
// journal; but one that failed stays in the journal, for who goes on with it.
func (h *held) end(ctx context.Context, state string, cause error) error {
	close(h.quit)
	<-h.done
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost {
		return nil // it is the other node's now
	}
	h.op.State, h.op.Ended = state, h.s.stamp()
	if cause != nil {
		h.op.Error = cause.Error()
		h.op.Steps = append(h.op.Steps, Step{Name: state, At: h.op.Ended, Node: h.s.node, Error: cause.Error()})
	}
	if !h.op.finished() {
		return h.write(ctx)
	}
	// The audit first: who is killed in between leaves an operation that is ended
	// again, with an entry of the same id.
	if entry, ok := entryOf(h.op); ok {
		if err := h.s.putEntry(ctx, entry); err != nil {
			return errors.Join(err, h.write(ctx))
		}
	}
	return h.remove(ctx)
}

// remove takes the operation out of the journal.
func (h *held) remove(ctx context.Context) error {
	_, err := h.s.global.Delete(ctx, provision.OperationsDB, h.op.ID, h.op.Rev)
	if errors.Is(err, couch.ErrConflict) && h.tried != "" {
		if now, e := h.s.operation(ctx, h.op.ID); e == nil && now != nil && now.Node == h.op.Node && now.Lease == h.tried {
			_, err = h.s.global.Delete(ctx, provision.OperationsDB, h.op.ID, now.Rev)
		}
	}
	if errors.Is(err, couch.ErrNotFound) || errors.Is(err, couch.ErrConflict) {
		return nil // it is out, or somebody else's
	}
	return err
}
