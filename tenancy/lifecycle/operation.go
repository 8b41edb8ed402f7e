// Operation: a change in the journal, and the lease under which one front door
// works at it.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// States of an operation.
const (
	opRunning = "running" // somebody is at it while the lease lives
	opDone    = "done"
	opFailed  = "failed" // ended with an error, and may be run again
	opUndone  = "undone" // its effects were taken back
)

// Step is one finished, or failed, step of an operation.
type Step struct {
	Name  string `json:"name"`
	At    string `json:"at"` // RFC 3339
	Node  string `json:"node"`
	Error string `json:"error,omitempty"`
}

// Operation is a document of the journal. It holds no secret.
type Operation struct {
	ID        string   `json:"_id"`
	Rev       string   `json:"_rev,omitempty"`
	Verb      string   `json:"verb"` // add, modify, destroy
	State     string   `json:"state"`
	Domain    string   `json:"domain"` // in the document's form
	Names     []string `json:"names"`  // normal forms that are claimed or given up
	Instance  string   `json:"instance"`
	Prefix    string   `json:"prefix,omitempty"`
	Cluster   int      `json:"cluster"`
	Databases int      `json:"databases,omitempty"` // how many a destroy found
	Node      string   `json:"node"`
	Lease     string   `json:"lease"` // until when, RFC 3339
	Steps     []Step   `json:"steps,omitempty"`
	Error     string   `json:"error,omitempty"`
	Started   string   `json:"started_at"`
	Ended     string   `json:"ended_at,omitempty"`
}

// opID is the id of an operation: one add and one destroy in an instance's life.
func opID(verb, instance string) string { return verb + "-" + instance }

// live tells whether somebody is still at it.
func (o *Operation) live(now time.Time) bool {
	if o.State != opRunning {
		return false
	}
	until, err := time.Parse(time.RFC3339Nano, o.Lease)
	return err == nil && now.Before(until.Add(leaseSkew))
}

func (o *Operation) finished() bool { return o.State == opDone || o.State == opUndone }

// held is an operation that this node works at. Its methods are safe for
// concurrent use.
type held struct {
	s    *Service
	stop context.CancelFunc
	done chan struct{}

	mu   sync.Mutex
	op   Operation
	lost bool // another node has taken it over
}

// begin writes a new operation, or takes over prior, one that has failed or
// whose node has died, and keeps its lease until end. When somebody else was
// quicker it returns couch.ErrConflict.
func (s *Service) begin(ctx context.Context, op Operation, prior *Operation) (*held, error) {
	if prior != nil {
		op.Rev, op.Steps = prior.Rev, prior.Steps
		if prior.Started != "" {
			op.Started = prior.Started
		}
	}
	if op.Started == "" {
		op.Started = s.stamp()
	}
	op.State, op.Node, op.Error, op.Ended = opRunning, s.node, "", ""
	h := &held{s: s, op: op, done: make(chan struct{})}
	if err := h.write(ctx); err != nil {
		return nil, err
	}
	// The renewal outlives a caller that is cancelled, until the work has ended.
	renewal, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	go h.renew(renewal)
	return h, nil
}

// write puts the operation as it is, with a fresh lease; h.mu may be held by
// nobody else yet, or by the caller.
func (h *held) write(ctx context.Context) error {
	h.op.Lease = h.s.now().Add(h.s.lease).UTC().Format(time.RFC3339Nano)
	rev, err := h.s.global.Put(ctx, provision.OperationsDB, h.op.ID, h.op)
	if errors.Is(err, couch.ErrNotFound) { // no such database: somebody dropped it
		h.s.Forget()
		if err = h.s.Ensure(ctx); err == nil {
			rev, err = h.s.global.Put(ctx, provision.OperationsDB, h.op.ID, h.op)
		}
	}
	if err != nil {
		return err
	}
	h.op.Rev = rev
	return nil
}

// renew keeps the lease alive.
func (h *held) renew(ctx context.Context) {
	defer close(h.done)
	ticker := time.NewTicker(h.s.lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.mu.Lock()
			err := h.write(ctx)
			if errors.Is(err, couch.ErrConflict) {
				h.lost = true
			}
			h.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				h.s.log.Warn("renewing the lease of an operation", zap.String("operation", h.op.ID), zap.Error(err))
			}
		}
	}
}

// step notes a finished step. The journal has it at the latest with the next
// renewal; what has to be there before an effect is written by persist.
func (h *held) step(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.op.Steps = append(h.op.Steps, Step{Name: name, At: h.s.stamp(), Node: h.s.node})
}

// fence fails when this node may no longer be the only one at the operation.
// It is asked before the steps that no other node must see done twice.
func (h *held) fence(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.lost {
		until, err := time.Parse(time.RFC3339Nano, h.op.Lease)
		if err == nil && h.s.now().Add(h.s.lease/3).Before(until) {
			return nil
		}
		err = h.write(ctx)
		if err == nil {
			return nil
		}
		if !errors.Is(err, couch.ErrConflict) {
			return err
		}
		h.lost = true
	}
	return tenancy.Conflictf("another front door has taken over this %s of %s", h.op.Verb, h.op.Domain)
}

// end stops the renewal and writes how it ended.
func (h *held) end(ctx context.Context, state string, cause error) error {
	h.stop()
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
	return h.write(ctx)
}

// operation reads one of the journal; nil where there is none.
func (s *Service) operation(ctx context.Context, id string) (*Operation, error) {
	raw, err := s.global.Get(ctx, provision.OperationsDB, id)
	if errors.Is(err, couch.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	op := new(Operation)
	if err := json.Unmarshal(raw, op); err != nil {
		return nil, err
	}
	return op, nil
}
