// Leading: the work of the front door that leads.

package certificates

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

const (
	// sweepEvery is how often at most all names are looked through; a large fleet's take
	// longer, and are looked through less often.
	sweepEvery = 10 * time.Minute
	// sweepShare bounds the part of the time that sweeps take.
	sweepShare = 20
	// sweepBatch is how many names are asked for at a time.
	sweepBatch = 1000
	// feedWait is how long the store may hold the feed of the records.
	feedWait = 25 * time.Second
	// tidyEvery is the pause after what failed for reasons of the store's.
	tidyEvery = 10 * time.Second
)

// leading is one term of a leader.
type leading struct {
	s        *Service
	settings *Settings
	queue    *queue
	budgets  *budgets
	records  records
	doubts   doubts
	log      *zap.Logger
}

func newLeading(s *Service, settings *Settings) *leading {
	id := ""
	if known := s.storage.Load(); known != nil {
		id = *known
	}
	return &leading{
		s: s, settings: settings, queue: newQueue(), budgets: newBudgets(settings.Limits),
		records: records{cluster: s.Cluster, storage: id}, log: s.Logger,
	}
}

// run works until ctx ends, and waits for what is under way then.
func (w *leading) run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { w.follow(ctx) })
	work.Go(func() { w.sweeps(ctx) })
	parallel := w.settings.Parallel
	if parallel <= 0 {
		parallel = DefaultParallel
	}
	slots := make(chan struct{}, parallel)
	for ctx.Err() == nil {
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
	work.Wait()
}

// look does what there is to do about a name, and says when there is more; never, where
// that is not known before the next sweep.
func (w *leading) look(ctx context.Context, name string) (next time.Time) {
	next, err := w.tend(ctx, name)
	switch {
	case err == nil:
		return next
	case ctx.Err() != nil:
		return time.Time{}
	case errors.Is(err, couch.ErrConflict), errors.Is(err, couch.ErrNotFound): // the record has changed meanwhile
		return w.s.Now().Add(time.Second)
	}
	w.log.Warn("looking after the certificate of a name", zap.String("name", name), zap.Error(err))
	return w.s.Now().Add(tidyEvery)
}

// follow looks at names whose records others write: front doors that visitors of a new
// host have come to. It begins from now, since a sweep has what was before.
func (w *leading) follow(ctx context.Context) {
	since := ""
	for ctx.Err() == nil {
		err := error(nil)
		if since == "" {
			var info couch.Info
			info, err = w.s.Cluster.Info(ctx, provision.TLSDB)
			since = info.UpdateSeq
		}
		if err == nil {
			since, _, err = w.s.Cluster.Changes(ctx, provision.TLSDB, couch.Feed{Since: since, Wait: feedWait}, w.changed)
		}
		if err != nil {
			since = ""
			sleep(ctx, tidyEvery)
		}
	}
}

// changed is told of a record that was written.
func (w *leading) changed(c couch.Change) error {
	var rec Record
	name, ok := w.records.nameOf(c.ID)
	if ok && !c.Deleted && json.Unmarshal(c.Doc, &rec) == nil && rec.Node != w.s.Node {
		w.queue.add(name, w.s.Now())
	}
	return nil
}

// sweeps looks through all names, at once and then again and again.
func (w *leading) sweeps(ctx context.Context) {
	for first := true; ctx.Err() == nil; {
		begun := w.s.Now()
		if err := w.sweep(ctx, first); err != nil && ctx.Err() == nil {
			w.log.Warn("looking through all certificates", zap.Error(err))
			sleep(ctx, tidyEvery)
			continue
		}
		first = false
		pause := max(sweepEvery, sweepShare*w.s.Now().Sub(begun))
		if w.queue.spilled() {
			pause = sweepEvery
		}
		sleep(ctx, pause)
	}
}

// sweep finds the names that there is something to do about before the next one: records
// that are due or nobody's any more, and names without one. The first one of a term
// counts what was ordered before.
func (w *leading) sweep(ctx context.Context, first bool) error {
	for !w.s.Hosts.Loaded() {
		if !sleep(ctx, time.Second) {
			return ctx.Err()
		}
	}
	now := w.s.Now()
	soon := now.Add(2 * sweepEvery)
	var sum Sum
	err := w.records.walk(ctx, func(rec *Record) error {
		sum.count(rec, now)
		if first && rec.Held() { // also those of another issuer, which errs on the safe side
			w.budgets.spend(rec.Name, rec.first(), rec.NotBefore, now)
		}
		_, known := w.s.Hosts.Owner(rec.Name)
		if due := rec.due(); !known || due.Before(soon) {
			if !known {
				due = now
			}
			w.queue.add(rec.Name, due)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	w.s.counters.sum.Store(&sum)
	batch := make([]string, 0, sweepBatch)
	missing := func() error {
		found, err := w.records.many(ctx, batch)
		if err != nil {
			return err
		}
		for _, name := range batch {
			if found[name] == nil {
				w.queue.add(name, now)
			}
		}
		batch = batch[:0]
		return ctx.Err()
	}
	for name, owner := range w.s.Hosts.Names() {
		if owner.Deleting || !w.settings.qualifies(name) {
			continue
		}
		if batch = append(batch, name); len(batch) == sweepBatch {
			if err := missing(); err != nil {
				return err
			}
		}
	}
	return missing()
}
