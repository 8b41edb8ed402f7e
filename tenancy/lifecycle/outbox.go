// Outbox: hooks that are told of what has happened. Each event is in the journal
// until its receiver has it, so that it outlives the front door that made it, and
// those of one instance go out in their order.

package lifecycle

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

const (
	// hookLease is how long an event belongs to the front door that has it in its queue.
	hookLease = 10 * time.Minute
	// hookTries bounds the rounds of tries (see Hooks.Deliver) for one event.
	hookTries = 8
	// hookPause is the pause after the first round, and doubles with each.
	hookPause = 15 * time.Second
	// hookQueue bounds the events in memory; more wait in the journal.
	hookQueue = 1000
	// hookParallel bounds the deliveries at a time.
	hookParallel = 4
)

// outbox has the events that this front door delivers, by instance.
type outbox struct {
	mu      sync.Mutex
	queues  map[string][]Operation // the first of each is being delivered
	known   map[string]bool        // ids of events in queues
	slots   chan struct{}
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup
}

func (o *outbox) init() {
	o.queues, o.known = map[string][]Operation{}, map[string]bool{}
	o.slots = make(chan struct{}, hookParallel)
	o.ctx, o.cancel = context.WithCancel(context.Background())
}

// Close ends deliveries: what is not delivered stays in the journal, for another
// front door or the next start. It returns when none is at work, or with ctx's error.
func (s *Service) Close(ctx context.Context) error {
	s.outbox.mu.Lock() // so that no worker begins after it
	s.outbox.cancel()
	s.outbox.mu.Unlock()
	done := make(chan struct{})
	go func() { s.outbox.workers.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) wants(kind string) bool {
	h := s.current().Hooks
	return h != nil && h.Wants(kind)
}

// tell puts an event into the outbox, if anybody wants it.
func (s *Service) tell(ctx context.Context, kind string, inst *tenancy.Instance) error {
	if !s.wants(kind) {
		return nil
	}
	now := s.now()
	op := Operation{
		// In the order of their times, with all others of that time.
		ID:   fmt.Sprintf("hook-%019d-%s", now.UnixNano(), hex.EncodeToString(s.random(4))),
		Verb: "hook", State: opRunning, Event: kind, Domain: inst.Domain(), Instance: inst.ID(), Prefix: inst.Prefix(),
		Cluster: inst.Cluster(), Node: s.node, Started: s.stamp(), Lease: now.Add(hookLease).UTC().Format(time.RFC3339Nano),
	}
	if kind == AfterBlock {
		op.Reason = string(inst.BlockingReason())
	}
	rev, err := s.global.Put(ctx, provision.OperationsDB, op.ID, op)
	if err != nil {
		return fmt.Errorf("the hook %s cannot be told: %w", kind, err)
	}
	op.Rev = rev
	s.enqueue(op)
	return nil
}

// enqueue has an event delivered after those of its instance that are waiting.
// Where there is no room it stays in the journal; see Tend.
func (s *Service) enqueue(op Operation) bool {
	o := &s.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ctx.Err() != nil || o.known[op.ID] || len(o.known) >= hookQueue {
		return false
	}
	o.known[op.ID] = true
	o.queues[op.Instance] = append(o.queues[op.Instance], op)
	if len(o.queues[op.Instance]) == 1 {
		o.workers.Go(func() { s.deliverAll(op.Instance) })
	}
	return true
}

// deliverAll delivers the events of an instance until there are none.
func (s *Service) deliverAll(instance string) {
	o := &s.outbox
	for {
		o.mu.Lock()
		if len(o.queues[instance]) == 0 || o.ctx.Err() != nil {
			delete(o.queues, instance)
			o.mu.Unlock()
			return
		}
		op := o.queues[instance][0]
		o.mu.Unlock()
		s.deliver(o.ctx, op)
		o.mu.Lock()
		o.queues[instance] = o.queues[instance][1:]
		delete(o.known, op.ID)
		o.mu.Unlock()
	}
}

// deliver tries until the receiver has the event, has said no, or was away for
// long; the event stays in the journal as failed then.
func (s *Service) deliver(ctx context.Context, op Operation) {
	err := errors.New("it was tried too often") // never seen: who takes it up has tries left
	for ; op.Tries < hookTries; op.Tries++ {
		if op.Tries > 0 {
			length := hookPause << (op.Tries - 1)
			// It stays this front door's while it waits, and is known to have been tried.
			if op, err = s.keepEvent(ctx, op, opRunning, nil, length); err != nil {
				return // it is another front door's, or the store is away: see Tend
			}
			if !s.sleep(ctx, length) {
				return
			}
		}
		if until, e := time.Parse(time.RFC3339Nano, op.Lease); e != nil || until.Sub(s.now()) < hookLease/2 { // it has waited
			if op, err = s.keepEvent(ctx, op, opRunning, nil, 0); err != nil {
				return // it is another front door's, or the store is away: see Tend
			}
		}
		if err = s.deliverOnce(ctx, op); err == nil || errors.Is(err, ErrRefused) {
			break
		}
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("telling a hook", zap.String("hook", op.Event), zap.String("domain", op.Domain), zap.Error(err))
	}
	end, cancel := detach(ctx)
	defer cancel()
	if err == nil {
		if _, err := s.global.Delete(end, provision.OperationsDB, op.ID, op.Rev); err != nil && !errors.Is(err, couch.ErrConflict) && !errors.Is(err, couch.ErrNotFound) {
			s.log.Warn("a hook was told, and may be told again", zap.String("operation", op.ID), zap.Error(err))
		}
		return
	}
	s.log.Error("a hook was not told; repair tries again", zap.String("hook", op.Event), zap.String("domain", op.Domain), zap.Error(err))
	_, _ = s.keepEvent(end, op, opFailed, err, 0)
}

// keepEvent writes the event's state, with a fresh lease, which a pause prolongs.
func (s *Service) keepEvent(ctx context.Context, op Operation, state string, cause error, pause time.Duration) (Operation, error) {
	op.State, op.Node, op.Lease = state, s.node, s.now().Add(pause+hookLease).UTC().Format(time.RFC3339Nano)
	if cause != nil {
		op.Error = cause.Error()
	}
	rev, err := s.global.Put(ctx, provision.OperationsDB, op.ID, op)
	if err == nil {
		op.Rev = rev
	}
	return op, err
}

// deliverOnce makes the event, with what it may not keep in the journal, and tells it.
func (s *Service) deliverOnce(ctx context.Context, op Operation) error {
	o := &s.outbox
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	hooks := s.current().Hooks
	if hooks == nil || !hooks.Wants(op.Event) {
		return nil // it is not configured any more
	}
	at, _ := time.Parse(time.RFC3339Nano, op.Started)
	event := Event{
		ID: op.ID, Kind: op.Event, Time: at, Domain: op.Domain, Instance: op.Instance, Prefix: op.Prefix, Reason: op.Reason,
	}
	inst, err := s.byID(ctx, op.Instance)
	if err != nil && !errors.Is(err, couch.ErrNotFound) {
		return err
	}
	if err == nil {
		event.Context, event.Locale = inst.Text("context"), inst.Locale()
	}
	if op.Event == SendLink {
		if inst == nil || Link(inst) == "" {
			return nil // destroyed, or onboarded, meanwhile
		}
		event.Link = Link(inst)
		if event.Email, event.Name, err = s.ownerSettings(ctx, inst); err != nil {
			return err
		}
	}
	return hooks.Deliver(ctx, event)
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
