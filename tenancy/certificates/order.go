// Order: what is done about one name.

package certificates

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
)

// tend brings a name, its record and its certificate together: it orders, renews, asks
// for advice, or removes. next is when there is more to do, zero for never, and in which
// lane that is.
func (w *leading) tend(ctx context.Context, name string, l lane) (next time.Time, in lane, err error) {
	rec, err := w.records.get(ctx, name)
	if err != nil {
		return next, l, err
	}
	owner, known := w.s.Hosts.Owner(name)
	if known {
		w.doubts.end(name)
	}
	if in = laneOf(rec, known); in == orders && l != orders { // not here, in the way of others
		return w.s.Now(), in, nil
	}
	if rec == nil {
		rec = &Record{Name: name, State: Pending, Wanted: w.s.Now()}
	}
	next, err = w.act(ctx, rec, owner, known)
	return next, laneOf(rec, known), err
}

// act does what there is to do about a record, which may be a new one.
func (w *leading) act(ctx context.Context, rec *Record, owner Owner, known bool) (next time.Time, err error) {
	now := w.s.Now()
	fresh := rec.Rev == ""
	switch {
	case !known && fresh:
		return next, nil
	case !known:
		return w.leave(ctx, rec)
	case owner.Deleting:
		return next, nil // no order; the next sweep has it if the deletion is given up
	case !w.settings().qualifies(rec.Name):
		if fresh || rec.Held() { // it goes with its instance
			return next, nil
		}
		return next, w.records.drop(ctx, rec)
	case rec.forlorn(now): // a visitor who comes again begins anew
		return next, w.records.drop(ctx, rec)
	}
	moved := !fresh && (rec.Instance != owner.Instance || rec.Parent != owner.Parent)
	rec.Instance, rec.Parent, rec.Node = owner.Instance, owner.Parent, w.s.Node
	switch {
	case w.early(rec, now):
	case rec.State != Issued || !w.configured(rec.Issuer) || !now.Before(rec.until()):
		if rec.Parent != "" {
			installed, err := w.s.Hosts.Installed(ctx, owner)
			switch {
			case err != nil && rec.Held(): // renewed all the same: it was there
			case err != nil:
				return next, fmt.Errorf("%w: %w", errApart, err)
			case !installed:
				return w.uninstalled(ctx, rec)
			}
		}
		return w.order(ctx, rec)
	case !rec.ARI.IsZero() && !now.Before(rec.ARI):
		return w.advice(ctx, rec)
	}
	if moved {
		return w.put(ctx, rec, func() {})
	}
	return w.due(rec), nil
}

// uninstalled lets go of the host of an app that is not there any more, instead of an
// order.
func (w *leading) uninstalled(ctx context.Context, rec *Record) (next time.Time, err error) {
	if rec.Held() {
		return w.discard(ctx, rec, func(*Record) error { return nil })
	}
	return next, w.records.drop(ctx, rec)
}

// early tells whether there is nothing to do about a record before its next time.
func (w *leading) early(rec *Record, now time.Time) bool {
	if rec.State == Issued && w.configured(rec.Issuer) {
		return now.Before(rec.due())
	}
	return now.Before(rec.Next)
}

// order obtains or renews a certificate, if it may, and writes what comes of it.
func (w *leading) order(ctx context.Context, rec *Record) (next time.Time, err error) {
	now := w.s.Now()
	held, err := w.held(ctx, rec.Name)
	if err != nil {
		return next, err
	}
	switch {
	case held == nil:
		rec.lose() // somebody has removed it, or its issuer is not configured any more
	case !rec.is(held): // of another front door, or from before the records
		if w.renewal(held, rec.Name).After(now) {
			return w.issued(ctx, rec, held, false)
		}
		rec.describe(held)
	}
	if done, next, err := w.prove(ctx, rec); done || err != nil {
		return next, err
	}
	first := held == nil
	leave, err := w.enter(ctx, first)
	if err != nil {
		return next, err
	}
	defer leave()
	now = w.s.Now() // perhaps others were before it
	if again, which := w.budgets.take(rec.Name, rec.kind(first), now); !again.IsZero() {
		w.s.counters.paced.Add(1)
		return w.put(ctx, rec, func() {
			if !rec.Held() {
				rec.State = Pending
			}
			rec.Next, rec.Error = again, fmt.Sprintf("waits for the budget of its %s", which)
		})
	}
	if rec.State != Issued { // one that is renewed stays issued meanwhile
		rec.State = Ordered
	}
	rec.ordered(now, first)
	// Who dies in this leaves it to be looked at once the order is over in any case.
	rec.Next = now.Add(orderTime)
	if err := w.records.put(ctx, rec); err != nil {
		w.budgets.giveBack(rec.Name, rec.kind(first))
		return next, err
	}
	err = w.ask(ctx, rec.Name, held)
	unordered := func() { // the authority knows of none
		w.budgets.giveBack(rec.Name, rec.kind(first))
		rec.unordered()
	}
	switch {
	case ctx.Err() != nil: // nobody's failure
		w.release(ctx, rec)
		return next, ctx.Err()
	case errors.Is(err, errUnwanted):
		unordered()
		w.release(ctx, rec)
		return w.s.Now(), nil
	case errors.Is(err, errOvertaken):
		unordered()
	case err != nil:
		if unreached(err) {
			unordered()
		}
		return w.failed(ctx, rec, err)
	default:
		w.s.counters.orders.Add(1)
	}
	return w.received(ctx, rec)
}

// enter waits for its turn to order. First orders leave some to renewals.
func (w *leading) enter(ctx context.Context, first bool) (leave func(), err error) {
	turns := []chan struct{}{w.all}
	if first {
		turns = []chan struct{}{w.firsts, w.all}
	}
	for i, turn := range turns {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			for _, had := range turns[:i] {
				<-had
			}
			return nil, ctx.Err()
		}
	}
	return func() {
		for _, turn := range turns {
			<-turn
		}
	}, nil
}

// received writes what an order has brought.
func (w *leading) received(ctx context.Context, rec *Record) (next time.Time, err error) {
	owner, known := w.s.Hosts.Owner(rec.Name)
	if !known { // what came too late is dropped
		return w.leave(ctx, rec)
	}
	rec.Instance, rec.Parent = owner.Instance, owner.Parent // the name may be another's now
	held, err := w.held(ctx, rec.Name)
	switch {
	case err != nil:
		return next, err
	case held == nil:
		return w.failed(ctx, rec, errors.New("the certificate was issued, and is not in the storage"))
	case !held.leaf.NotAfter.After(w.s.Now()):
		return w.failed(ctx, rec, errors.New("the certificate that was issued has expired already; is the clock right?"))
	}
	return w.issued(ctx, rec, held, true)
}

// Why an order is not made, after all.
var (
	errUnwanted  = errors.New("nobody wants this certificate any more")
	errOvertaken = errors.New("another front door has renewed this certificate")
)

// ask makes one order, in place of a certificate that is held, if there is one.
func (w *leading) ask(ctx context.Context, name string, held *heldCertificate) error {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	ctx = context.WithValue(ctx, neededKey{}, func(ctx context.Context) error {
		if owner, known := w.s.Hosts.Owner(name); !known || owner.Deleting {
			return errUnwanted
		}
		if held == nil {
			return nil // certmagic looks by itself
		}
		now, err := w.held(ctx, name)
		if err == nil && now != nil && serialOf(now.leaf) != serialOf(held.leaf) {
			return errOvertaken
		}
		return err
	})
	if held != nil {
		return w.in.Load().orders.RenewCertSync(ctx, name, true)
	}
	if err := w.clear(ctx, name); err != nil {
		return err
	}
	return w.in.Load().orders.ObtainCertSync(ctx, name)
}

// releaseTime bounds the writing of a record at the end of a term.
const releaseTime = 5 * time.Second

// release writes that an order is not under way any more, though it has neither failed
// nor brought anything. Without it the next leader looks once it is over in any case.
func (w *leading) release(ctx context.Context, rec *Record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	if rec.State == Ordered {
		rec.State = Pending
	}
	rec.Next = time.Time{}
	_ = w.records.put(ctx, rec)
}

// longestError bounds what a record has of an error, in bytes; authorities answer with
// whole pages at times.
const longestError = 1000

// failed writes that an order has failed, and when it is tried again.
func (w *leading) failed(ctx context.Context, rec *Record, cause error) (next time.Time, err error) {
	w.s.counters.failures.Add(1)
	now := w.s.Now()
	f := judge(cause, rec.Tries, now)
	if f.account > 0 {
		w.budgets.holdAll(now.Add(f.account), now)
		w.ledger.hold("", now.Add(f.account))
	}
	if f.domain > 0 {
		w.budgets.holdDomain(rec.Name, now.Add(f.domain), now)
		w.ledger.hold(rec.Name, now.Add(f.domain))
	}
	w.log.Warn("an order of a certificate has failed", zap.String("name", rec.Name), zap.Int("tries", rec.Tries+1), zap.Duration("again_in", f.wait), zap.Error(cause))
	return w.put(ctx, rec, func() {
		rec.State, rec.Tries, rec.Error = Failed, rec.Tries+1, cause.Error()
		if len(rec.Error) > longestError {
			rec.Error = strings.ToValidUTF8(rec.Error[:longestError], "") + "…"
		}
		rec.Next = now.Add(f.wait)
	})
}

// issued writes what a certificate is, and when it is renewed. A fresh one was ordered
// just now.
func (w *leading) issued(ctx context.Context, rec *Record, held *heldCertificate, fresh bool) (next time.Time, err error) {
	now := w.s.Now()
	rec.describe(held)
	rec.State, rec.Tries, rec.Error, rec.Next = Issued, 0, "", time.Time{}
	rec.RenewAt, rec.ARI = w.renewal(held, rec.Name), time.Time{}
	if !rec.RenewAt.After(now) { // of a very short life, or one that began long before: else it would be renewed for ever
		rec.RenewAt = now.Add(rec.NotAfter.Sub(now) / 2).UTC()
	}
	if _, kept := w.s.keeper.kept(rec.Name); fresh || kept {
		_, _ = w.s.keeper.load(ctx, rec.Name) // so that the first visitor need not wait; else he does
	}
	w.s.fruitless.forget(rec.Name)
	w.consult(ctx, rec, held)
	if err := w.records.put(ctx, rec); err != nil {
		return next, err
	}
	w.log.Info("a certificate is there", zap.String("name", rec.Name), zap.String("issuer", rec.Issuer), zap.Time("not_after", rec.NotAfter), zap.Time("renew_at", rec.RenewAt))
	return rec.due(), nil
}

// put changes a record, writes it, and says when it is due.
func (w *leading) put(ctx context.Context, rec *Record, change func()) (next time.Time, err error) {
	change()
	if err := w.records.put(ctx, rec); err != nil {
		return next, err
	}
	return w.due(rec), nil
}
