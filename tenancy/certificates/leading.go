// Leading: the work of the front door that leads.

package certificates

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

const (
	// again is the pause before a record is read again that somebody else has written.
	again = time.Second
	// trouble is the first pause of a name, and of all, where the store or the storage
	// fails. It doubles, for a name up to troubleMost and for all up to calmMost.
	trouble     = time.Second
	troubleMost = 10 * time.Minute
	calmMost    = 30 * time.Second
)

// leading is one term of a leader.
type leading struct {
	s        *Service
	settings *Settings
	orders   *certmagic.Config
	queue    *queue
	budgets  *budgets
	records  records
	log      *zap.Logger

	doubts, troubles pauses // of names
	calm             calm   // of all

	counted chan struct{} // closed when it is known what was ordered before this term
	soon    chan struct{} // has a value when a sweep is wanted soon
	horizon atomic.Int64  // a time.Duration: what is due later, a sweep finds in time
}

// newLeading begins a term; nil where the configuration has changed meanwhile.
func newLeading(s *Service, settings *Settings, r records) *leading {
	m := s.keeper.magic.Load()
	if m == nil || m.settings != settings {
		return nil
	}
	w := &leading{
		s: s, settings: settings, orders: m.orders, queue: newQueue(), budgets: newBudgets(settings.Limits),
		records: r, log: s.Logger,
		doubts: pauses{first: doubt, most: doubtMost}, troubles: pauses{first: trouble, most: troubleMost},
		calm:    calm{pauses: pauses{first: trouble, most: calmMost}},
		counted: make(chan struct{}), soon: make(chan struct{}, 1),
	}
	w.horizon.Store(int64(2 * sweepEvery))
	return w
}

// run works until ctx ends, and waits for what is under way then.
func (w *leading) run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { w.sweeps(ctx) })
	// What was ordered before has to be known first, since it counts in the budgets.
	select {
	case <-w.counted:
	case <-ctx.Done():
		return
	}
	parallel := w.settings.Parallel
	if parallel <= 0 {
		parallel = DefaultParallel
	}
	slots := make(chan struct{}, parallel)
	for ctx.Err() == nil {
		if left := w.calm.left(w.s.Now()); left > 0 {
			sleep(ctx, left)
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		name, ok, wait := w.queue.take(w.s.Now())
		if ok {
			work.Go(func() {
				defer func() { <-slots }()
				w.queue.done(name, w.look(ctx, name))
			})
			continue
		}
		<-slots
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-w.queue.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// look does what there is to do about a name, and says when there is more; never, where
// a sweep finds it before.
func (w *leading) look(ctx context.Context, name string) (next time.Time) {
	next, err := w.tend(ctx, name)
	now := w.s.Now()
	switch {
	case err == nil:
		w.troubles.end(name)
		w.calm.end()
		if next.Sub(now) > time.Duration(w.horizon.Load()) {
			return time.Time{}
		}
		return next
	case ctx.Err() != nil:
		return time.Time{}
	case errors.Is(err, couch.ErrConflict):
		return now.Add(again)
	case errors.Is(err, couch.ErrNotFound) && w.s.Ensure != nil: // the whole database is gone
		_ = w.s.Ensure(ctx) // else it is tried again
	}
	w.calm.begin(now)
	w.log.Warn("looking after the certificate of a name", zap.String("name", name), zap.Error(err))
	return now.Add(w.troubles.next(name))
}

// pauses are those of names, which double while something goes on. They are safe for
// concurrent use.
type pauses struct {
	first, most time.Duration

	mu    sync.Mutex
	times map[string]int // bounded by what the queue has
}

// next is the next pause of a name.
func (p *pauses) next(name string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.times == nil || len(p.times) > maxQueue {
		p.times = map[string]int{}
	}
	n := p.times[name]
	p.times[name] = n + 1
	return min(p.first<<min(n, 20), p.most)
}

// end forgets a name.
func (p *pauses) end(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.times, name)
}

// calm is a pause of all work, since what all of it needs may not answer. It is safe for
// concurrent use.
type calm struct {
	pauses
	until atomic.Pointer[time.Time]
}

// begin pauses all work. Failures of what is done at the same time count as one.
func (c *calm) begin(now time.Time) {
	if until := c.until.Load(); until != nil && now.Before(*until) {
		return
	}
	until := now.Add(c.next(""))
	c.until.Store(&until)
}

// left is how long the pause lasts yet.
func (c *calm) left(now time.Time) time.Duration {
	if until := c.until.Load(); until != nil {
		return until.Sub(now)
	}
	return 0
}

// end forgets how often there was trouble.
func (c *calm) end() { c.pauses.end("") }
