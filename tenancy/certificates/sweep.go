// Sweep: the leader's look through all names.

package certificates

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

const (
	// sweepEvery is how often at most all names are looked through; a large fleet's take
	// longer, and are looked through less often.
	sweepEvery = 10 * time.Minute
	// sweepLeast is the pause before a sweep that is wanted soon.
	sweepLeast = 20 * time.Second
	// sweepShare bounds the part of the time that sweeps take.
	sweepShare = 20
	// sweepBatch is how many names are asked for at a time.
	sweepBatch = 1000
	// loadedEvery is how often it is looked whether the directory is loaded.
	loadedEvery = time.Second
)

// sweeps looks through all names, at once and then again and again.
func (w *leading) sweeps(ctx context.Context) {
	for failed := 0; ; {
		if !w.ready(ctx) {
			return
		}
		begun := time.Now()
		if err := w.sweep(ctx); err != nil {
			if ctx.Err() == nil {
				w.log.Warn("looking through all certificates", zap.Error(err))
			}
			sleep(ctx, min(trouble<<min(failed, 10), calmMost))
			failed++
			continue
		}
		failed = 0
		pause := max(sweepEvery, sweepShare*time.Since(begun))
		w.horizon.Store(int64(2 * pause))
		if w.queue.spilled() {
			pause = sweepEvery
		}
		least := min(pause, max(sweepLeast, sweepShare*time.Since(begun)))
		sleep(ctx, least)
		timer := time.NewTimer(pause - least)
		select {
		case <-timer.C:
		case <-w.soon:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// resweep has all names looked through soon.
func (w *leading) resweep() {
	select {
	case w.soon <- struct{}{}:
	default:
	}
}

// sweep finds the names that there is something to do about before the next one: records
// that are due or nobody's any more, and names without one. The first one of a term
// counts what was ordered before, and lets the work begin.
func (w *leading) sweep(ctx context.Context) error {
	now := w.s.Now()
	soon := now.Add(time.Duration(w.horizon.Load()))
	sum := newSum(now)
	first, past := false, book{}
	select {
	case <-w.counted:
	default:
		first = true
		var err error
		if past, err = w.recount(ctx, now); err != nil {
			return err
		}
	}
	room, _ := w.budgets.removals(now)
	err := w.records.walk(ctx, func(rec *Record) error {
		owner, known := w.s.Hosts.Owner(rec.Name)
		idle := known && w.idle(rec, owner)
		kept := !known && w.staying(rec, now)
		sum.count(rec, now, idle || kept, !known && !kept)
		if first { // also those of another issuer, which errs on the safe side
			w.budgets.spend(rec.Name, rec.Parent != "", rec.past(), now)
		}
		switch due := w.due(rec); {
		case kept:
		case !known && rec.Held() && room <= 0: // not in the way of others
		case !known:
			if rec.Held() {
				room--
			}
			w.queue.add(rec.Name, upkeep, now)
		case !idle && due.Before(soon):
			w.queue.add(rec.Name, laneOf(rec, known), due)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	w.s.counters.sum.Store(sum)
	w.budgets.certificates(sum.Held + sum.Gone)
	if first {
		w.budgets.removed(past.Removed, now) // by how many there are
		close(w.counted)
	}
	if !w.s.Hosts.Loaded() { // what is there is looked after all the same
		return nil
	}
	return w.missing(ctx, now)
}

// ready waits, before the first sweep, until the directory has what the store has.
func (w *leading) ready(ctx context.Context) bool {
	select {
	case <-w.counted:
		return ctx.Err() == nil
	default:
	}
	for !w.s.Hosts.Loaded() && sleep(ctx, loadedEvery) {
	}
	return ctx.Err() == nil
}

// recount begins to count anew what was ordered before this term, with what stands in no
// record.
func (w *leading) recount(ctx context.Context, now time.Time) (past book, err error) {
	w.budgets.reset() // what a sweep has counted that has failed
	past, err = w.ledger.read(ctx, now, w.log)
	if err != nil && !errors.Is(err, couch.ErrNotFound) { // no database yet
		return past, err
	}
	for _, p := range past.Hold {
		if p.Name == "" {
			w.budgets.holdAll(p.Until, now)
		} else {
			w.budgets.holdDomain(p.Name, p.Until, now)
		}
	}
	w.budgets.removed(past.Removed, now)
	for _, g := range past.Gone {
		w.budgets.spend(g.Name, g.Demanded, g.Orders, now)
	}
	return past, nil
}

// staying tells whether nothing is done about the record of a name that nobody has.
func (w *leading) staying(rec *Record, now time.Time) bool {
	return w.s.Hosts.Quarantined(rec.Name) || now.Before(rec.NotAfter) && w.mislaid(rec)
}

// missing finds the names that have no record.
func (w *leading) missing(ctx context.Context, now time.Time) error {
	batch := make([]string, 0, sweepBatch)
	ask := func() error {
		found, err := w.records.many(ctx, batch)
		if err != nil {
			return err
		}
		for _, name := range batch {
			if found[name] == nil {
				w.queue.add(name, orders, now)
			}
		}
		batch = batch[:0]
		return ctx.Err()
	}
	for name, owner := range w.s.Hosts.Names() {
		if owner.Deleting || !w.settings().qualifies(name) {
			continue
		}
		if batch = append(batch, name); len(batch) == sweepBatch {
			if err := ask(); err != nil {
				return err
			}
		}
	}
	return ask()
}

// idle tells whether nothing is done about the record of a name that somebody has: its
// instance is being deleted, or a wildcard has come to cover it. The queue is for others.
func (w *leading) idle(rec *Record, owner Owner) bool {
	return owner.Deleting || rec.Held() && !w.settings().qualifies(rec.Name)
}

// due is when there is something to do about a record. A certificate of an issuer that
// the configuration does not have any more is none: nothing serves it.
func (w *leading) due(rec *Record) time.Time {
	if rec.State == Issued && !w.configured(rec.Issuer) {
		return rec.Next
	}
	return rec.due()
}

// configured tells whether an issuer is one of the configuration's.
func (w *leading) configured(issuer string) bool {
	for _, i := range w.settings().Issuers {
		if i.IssuerKey() == issuer {
			return true
		}
	}
	return false
}
