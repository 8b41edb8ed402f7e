// Leading: the work of the front door that leads.

package certificates

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

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

// looks is how many names of each lane are looked at at a time. Most of it is waiting:
// for the store, the DNS, the authority; orders have bounds of their own.
const looks = 64

// leading is one term of a leader.
type leading struct {
	s       *Service
	began   *Settings             // that the term began with
	in      atomic.Pointer[magic] // the configuration in use
	queue   *queue
	budgets *budgets
	ledger  *ledger
	records records
	log     *zap.Logger
	all     chan struct{} // has a value for each order under way
	firsts  chan struct{} // those that are no renewals

	doubts, troubles pauses // of names
	calm             calm   // of all

	warned atomic.Pointer[time.Time] // of many removals

	counted chan struct{} // closed when it is known what was ordered before this term
	soon    chan struct{} // has a value when a sweep is wanted soon
	horizon atomic.Int64  // a time.Duration: what is due later, a sweep finds in time
}

// newLeading begins a term; nil where the configuration has changed meanwhile so much that
// it is another one's.
func newLeading(s *Service, settings *Settings, r records) *leading {
	m := s.keeper.magic.Load()
	if m == nil || !settings.goesOn(m.settings) {
		return nil
	}
	parallel := m.settings.parallel()
	w := &leading{
		s: s, began: settings, queue: newQueue(), budgets: newBudgets(m.settings.Limits),
		ledger: newLedger(r), records: r, log: s.Logger,
		all:    make(chan struct{}, parallel),
		firsts: make(chan struct{}, parallel-parallel/4), // as in the account's budget
		doubts: pauses{first: doubt, most: doubtMost}, troubles: pauses{first: trouble, most: troubleMost},
		calm:    calm{pauses: pauses{first: trouble, most: calmMost}},
		counted: make(chan struct{}), soon: make(chan struct{}, 1),
	}
	w.in.Store(m)
	w.horizon.Store(int64(2 * sweepEvery))
	return w
}

// settings are those in use.
func (w *leading) settings() *Settings { return w.in.Load().settings }

// take goes on with a configuration that the term may go on with: what is under way is
// not broken off, and what was counted stays counted.
func (w *leading) take(m *magic) {
	if m == nil || !w.began.goesOn(m.settings) || w.in.Swap(m) == m {
		return
	}
	w.budgets.use(m.settings.Limits)
	w.resweep() // other names may be covered now
}

// run works until ctx ends, and waits for what is under way then.
func (w *leading) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { w.sweeps(ctx) })
	work.Go(func() { w.ledger.keep(ctx, w.s.Now, w.log) })
	// What was ordered before has to be known first, since it counts in the budgets.
	patience := time.NewTimer(countTime)
	defer patience.Stop()
	select {
	case <-w.counted:
	case <-patience.C:
		w.log.Warn("this front door cannot tell what is ordered, and lets another one lead")
		return
	case <-ctx.Done():
		return
	}
	for l := range lane(lanes) {
		work.Go(func() { w.work(ctx, l) })
	}
	<-ctx.Done()
}

// countTime bounds the first sweep of a term, with the wait for the directory: about a
// minute for a million names.
const countTime = 10 * time.Minute

// work looks at the names of a lane as they become due, and waits for what is under way.
func (w *leading) work(ctx context.Context, l lane) {
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, looks)
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
		name, ok, wait := w.queue.take(l, w.s.Now())
		if ok {
			under.Go(func() {
				defer func() { <-slots }()
				at, in := w.look(ctx, name, l)
				w.queue.done(name, in, at)
			})
			continue
		}
		<-slots
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-w.queue.lanes[l].wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// look does what there is to do about a name, and says when there is more, and in which
// lane; never, where a sweep finds it before.
func (w *leading) look(ctx context.Context, name string, l lane) (next time.Time, in lane) {
	next, in, err := w.tend(ctx, name, l)
	now := w.s.Now()
	switch {
	case err == nil:
		w.troubles.end(name)
		w.calm.end()
		if next.Sub(now) > time.Duration(w.horizon.Load()) {
			next = time.Time{}
		}
		return next, in
	case ctx.Err() != nil:
		return time.Time{}, in
	case errors.Is(err, errApart):
		w.log.Warn("looking after the certificate of a name", zap.String("name", name), zap.Error(err))
		return now.Add(w.troubles.next(name)), in
	case errors.Is(err, couch.ErrConflict):
		return now.Add(again), in
	case errors.Is(err, couch.ErrNotFound) && w.s.Ensure != nil: // the whole database is gone
		_ = w.s.Ensure(ctx) // else it is tried again
	}
	w.calm.begin(now)
	w.log.Warn("looking after the certificate of a name", zap.String("name", name), zap.Error(err))
	return now.Add(w.troubles.next(name)), in
}

// errApart: what concerns one name alone, so that others need not wait.
var errApart = errors.New("this name has to wait")

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
