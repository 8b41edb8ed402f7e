// Operation: a change in the journal, and the lease under which one front door
// works at it. The journal has what has not ended; what has is in the audit.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	ID         string   `json:"_id"`
	Rev        string   `json:"_rev,omitempty"`
	Verb       string   `json:"verb"` // add, modify, destroy
	State      string   `json:"state"`
	Domain     string   `json:"domain"` // in the document's form
	Names      []string `json:"names"`  // normal forms that are claimed or given up
	Instance   string   `json:"instance"`
	Actor      string   `json:"actor,omitempty"` // who asked for it; see Origin
	Address    string   `json:"address,omitempty"`
	Via        string   `json:"via,omitempty"`
	Prefix     string   `json:"prefix,omitempty"`
	Cluster    int      `json:"cluster"`
	Databases  int      `json:"databases,omitempty"`  // how many a destroy found
	Apps       []string `json:"apps,omitempty"`       // that an add is to install
	SendLink   bool     `json:"send_link,omitempty"`  // an add is to send the owner's link
	Quarantine string   `json:"quarantine,omitempty"` // until when a destroy keeps the names from others, RFC 3339
	Freeing    bool     `json:"freeing,omitempty"`    // a destroy that is given up: only the flag is to be taken off
	Tries      int      `json:"tries,omitempty"`      // of a hook
	Event      string   `json:"event,omitempty"`      // the kind of event that a hook is told
	Reason     string   `json:"reason,omitempty"`     // of the block that a hook is told
	Node       string   `json:"node"`
	Lease      string   `json:"lease"` // until when, RFC 3339
	Steps      []Step   `json:"steps,omitempty"`
	Error      string   `json:"error,omitempty"`
	Started    string   `json:"started_at"`
	Ended      string   `json:"ended_at,omitempty"`
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

// begin writes a new operation, or takes over prior, one that has failed or
// whose node has died, and keeps its lease until end. When somebody else was
// quicker it returns a tenancy.ErrConflict.
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
	if op.Actor == "" && op.Via == "" {
		o := OriginOf(ctx)
		op.Actor, op.Address, op.Via = o.Actor, o.Address, o.Via
	}
	op.State, op.Node, op.Error, op.Ended = opRunning, s.node, "", ""
	h := &held{s: s, op: op, begun: prior == nil && op.Rev == "", quit: make(chan struct{}), done: make(chan struct{})}
	if err := h.write(ctx); err != nil {
		if errors.Is(err, couch.ErrConflict) {
			return nil, &quicker{op.Verb, op.Domain}
		}
		return nil, err
	}
	h.guard, h.unlock = context.WithCancel(context.WithoutCancel(ctx))
	// The renewal outlives a caller that is cancelled, until the work has ended.
	go h.renew(context.WithoutCancel(ctx))
	return h, nil
}

// errQuicker: somebody else has begun an operation, or ended it; a tenancy.ErrConflict.
var errQuicker = errors.New("another front door was quicker")

type quicker struct{ verb, domain string }

func (q *quicker) Error() string {
	return fmt.Sprintf("%v to begin the %s of %s", errQuicker, q.verb, q.domain)
}

// Is makes it an errQuicker and a tenancy.ErrConflict.
func (q *quicker) Is(target error) bool { return target == errQuicker || target == tenancy.ErrConflict }

// beginAlone begins an operation of which an instance has one at a time, and
// that nobody has to finish when it dies.
func (s *Service) beginAlone(ctx context.Context, op Operation) (*held, error) {
	prior, err := s.operation(ctx, op.ID)
	if err != nil {
		return nil, err
	}
	if prior != nil {
		if prior.live(s.now()) {
			return nil, tenancy.Conflictf("the %s of %s is being changed on %s; try again when that has ended", subject(op.Verb), op.Domain, prior.Node)
		}
		op.Rev = prior.Rev
	}
	return s.begin(ctx, op, nil)
}

// subject is what an operation changes, for people.
func subject(verb string) string {
	if verb == "modify" {
		return "names"
	}
	return verb
}

// warnEnd logs that the end of an operation could not be written: what it did
// stands, and whoever meets the operation sees that.
func (s *Service) warnEnd(h *held, err error) {
	if err != nil {
		s.log.Warn("writing the end of an operation", zap.String("operation", h.operation().ID), zap.Error(err))
	}
}

// operation is a copy, since the renewal writes to the original.
func (h *held) operation() Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.op
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
