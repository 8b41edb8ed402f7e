// Ledger: what counts in the budgets, and stands in no record.

package certificates

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

const (
	// ledgerPause is how long news wait for others before they are written.
	ledgerPause = 2 * time.Second
	// ledgerLife is how long what is in the ledger counts: no default looks further back.
	ledgerLife = 7 * 24 * time.Hour
	// maxLedger bounds each of its lists; the latest are kept.
	maxLedger = 2000
)

// book is the document of one storage's ledger.
type book struct {
	ID   string  `json:"_id"`
	Rev  string  `json:"_rev,omitempty"`
	Hold []pause `json:"hold,omitempty"`
	Gone []gone  `json:"gone,omitempty"`
	// Removed counts the names whose certificates were removed, by minutes.
	Removed []removed `json:"removed,omitempty"`
}

// removed is how many in a minute.
type removed struct {
	At    time.Time `json:"at"`
	Names int       `json:"names"`
}

// pause is what an authority has asked for.
type pause struct {
	Name  string    `json:"name,omitempty"` // the registered domain that it is for; empty for all
	Until time.Time `json:"until"`
}

// gone is a name that was removed, with its orders.
type gone struct {
	Name     string  `json:"name"`
	Demanded bool    `json:"demanded,omitempty"`
	Orders   []Order `json:"orders"`
}

// ledger is written by the leader, for the next one. It is safe for concurrent use.
type ledger struct {
	records records
	wake    chan struct{} // has a value when there is news

	mu   sync.Mutex
	book book
}

func newLedger(r records) *ledger {
	return &ledger{records: r, wake: make(chan struct{}, 1), book: book{ID: r.storage + "!ledger"}}
}

// hold notes a pause.
func (l *ledger) hold(name string, until time.Time) {
	name = registeredOrAll(name)
	l.note(func(b *book) {
		for i := range b.Hold {
			if b.Hold[i].Name == name {
				b.Hold[i].Until = until.UTC()
				return
			}
		}
		b.Hold = append(b.Hold, pause{name, until.UTC()})
	})
}

func registeredOrAll(name string) string {
	if name == "" {
		return ""
	}
	return registered(name)
}

// depart notes a name that is removed, with its orders. Once more is no more.
func (l *ledger) depart(rec *Record, now time.Time) {
	g := gone{rec.Name, rec.Parent != "", rec.past()}
	l.note(func(b *book) {
		if len(g.Orders) > 0 && slices.ContainsFunc(b.Gone, g.same) {
			return
		}
		if len(g.Orders) > 0 {
			b.Gone = append(b.Gone, g)
		}
		if minute := now.UTC().Truncate(time.Minute); rec.Held() {
			if n := len(b.Removed); n > 0 && b.Removed[n-1].At.Equal(minute) {
				b.Removed[n-1].Names++
			} else {
				b.Removed = append(b.Removed, removed{minute, 1})
			}
		}
	})
}

// same tells whether another one is the same name's with the same orders.
func (g gone) same(other gone) bool {
	return g.Name == other.Name && len(other.Orders) > 0 && g.Orders[0].At.Equal(other.Orders[0].At)
}

func (l *ledger) note(change func(*book)) {
	l.mu.Lock()
	change(&l.book)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// read takes up what the leader before this one has written, and gives it.
func (l *ledger) read(ctx context.Context, now time.Time, log *zap.Logger) (book, error) {
	theirs, err := l.get(ctx)
	if broken := new(json.UnmarshalTypeError); errors.As(err, &broken) {
		log.Error("what counts in the budgets of certificates cannot be read, and begins anew", zap.String("id", l.book.ID), zap.Error(err))
		theirs, err = book{Rev: theirs.Rev}, nil
	}
	if err != nil {
		return theirs, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.merge(theirs)
	l.book.trim(now)
	b := l.book
	b.Hold, b.Gone, b.Removed = slices.Clone(b.Hold), slices.Clone(b.Gone), slices.Clone(b.Removed)
	return b, nil
}

func (l *ledger) get(ctx context.Context) (b book, err error) {
	raw, err := l.records.cluster.Get(ctx, provision.TLSDB, l.book.ID)
	switch {
	case errors.Is(err, couch.ErrNotFound):
		return b, nil
	case err != nil:
		return b, err
	}
	return b, json.Unmarshal(raw, &b)
}

// merge takes in what is not known. l.mu is held.
func (l *ledger) merge(theirs book) {
	l.book.Rev = theirs.Rev
	for _, p := range theirs.Hold {
		if !slices.ContainsFunc(l.book.Hold, func(q pause) bool { return q.Name == p.Name && !q.Until.Before(p.Until) }) {
			l.book.Hold = append(l.book.Hold, p)
		}
	}
	for _, p := range theirs.Gone {
		if len(p.Orders) > 0 && !slices.ContainsFunc(l.book.Gone, p.same) {
			l.book.Gone = append(l.book.Gone, p)
		}
	}
	for _, r := range theirs.Removed { // of a minute in which both have removed, the larger number
		i := slices.IndexFunc(l.book.Removed, func(q removed) bool { return q.At.Equal(r.At) })
		if i < 0 {
			l.book.Removed = append(l.book.Removed, r)
		} else {
			l.book.Removed[i].Names = max(l.book.Removed[i].Names, r.Names)
		}
	}
}

// trim forgets what does not count any more.
func (b *book) trim(now time.Time) {
	b.Hold = slices.DeleteFunc(b.Hold, func(p pause) bool { return !now.Before(p.Until) })
	b.Gone = slices.DeleteFunc(b.Gone, func(g gone) bool { return now.Sub(g.last()) >= ledgerLife })
	slices.SortStableFunc(b.Hold, func(p, q pause) int { return p.Until.Compare(q.Until) })
	slices.SortStableFunc(b.Gone, func(p, q gone) int { return p.last().Compare(q.last()) })
	b.Removed = slices.DeleteFunc(b.Removed, func(r removed) bool { return now.Sub(r.At) >= ledgerLife })
	slices.SortStableFunc(b.Removed, func(p, q removed) int { return p.At.Compare(q.At) })
	b.Removed = b.Removed[max(0, len(b.Removed)-maxLedger):]
	b.Hold = b.Hold[max(0, len(b.Hold)-maxLedger):]
	b.Gone = b.Gone[max(0, len(b.Gone)-maxLedger):]
}

func (g gone) last() time.Time {
	if len(g.Orders) == 0 {
		return time.Time{}
	}
	return g.Orders[len(g.Orders)-1].At
}

// keep writes news until ctx ends, and then what is left. A leader that dies loses those
// of its last moments.
func (l *ledger) keep(ctx context.Context, now func() time.Time, log *zap.Logger) {
	for ended := false; !ended; {
		select {
		case <-l.wake:
			ended = !sleep(ctx, ledgerPause)
		case <-ctx.Done():
			ended = true
			select {
			case <-l.wake:
			default:
				continue
			}
		}
		if err := l.write(ctx, now()); err != nil {
			log.Warn("what counts in the budgets of certificates cannot be written", zap.Error(err))
			if !ended {
				l.note(func(*book) {}) // once more
			}
		}
	}
}

// write writes the document, with what another leader has written meanwhile.
func (l *ledger) write(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	for try := 0; ; try++ {
		l.mu.Lock()
		l.book.trim(now)
		mine := l.book
		mine.Hold, mine.Gone, mine.Removed = slices.Clone(mine.Hold), slices.Clone(mine.Gone), slices.Clone(mine.Removed)
		l.mu.Unlock()
		rev, err := l.records.cluster.Put(ctx, provision.TLSDB, mine.ID, &mine)
		if err == nil {
			l.mu.Lock()
			l.book.Rev = rev
			l.mu.Unlock()
			return nil
		}
		if !errors.Is(err, couch.ErrConflict) || try == hurryTries {
			return err
		}
		theirs, err := l.get(ctx)
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.merge(theirs)
		l.mu.Unlock()
	}
}
