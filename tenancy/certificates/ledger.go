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
	// ledgerLife is how long what is in the ledger counts: no budget looks further back.
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
}

// pause is what an authority has asked for.
type pause struct {
	Name  string    `json:"name,omitempty"` // of whose registered domain it is; empty for all
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
	l.note(func(b *book) { b.Hold = append(b.Hold, pause{name, until.UTC()}) })
}

// depart notes the orders of a name that is removed.
func (l *ledger) depart(rec *Record) {
	if made := rec.past(); len(made) > 0 {
		l.note(func(b *book) { b.Gone = append(b.Gone, gone{rec.Name, rec.Parent != "", made}) })
	}
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
func (l *ledger) read(ctx context.Context, now time.Time) (book, error) {
	theirs, err := l.get(ctx)
	if err != nil {
		return theirs, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.merge(theirs)
	l.book.trim(now)
	return l.book, nil
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
	same := func(p gone) func(gone) bool {
		return func(q gone) bool {
			return q.Name == p.Name && len(q.Orders) > 0 && len(p.Orders) > 0 && q.Orders[0].At.Equal(p.Orders[0].At)
		}
	}
	for _, p := range theirs.Gone {
		if !slices.ContainsFunc(l.book.Gone, same(p)) {
			l.book.Gone = append(l.book.Gone, p)
		}
	}
}

// trim forgets what does not count any more.
func (b *book) trim(now time.Time) {
	b.Hold = slices.DeleteFunc(b.Hold, func(p pause) bool { return !now.Before(p.Until) })
	b.Gone = slices.DeleteFunc(b.Gone, func(g gone) bool { return now.Sub(g.last()) >= ledgerLife })
	slices.SortStableFunc(b.Hold, func(p, q pause) int { return p.Until.Compare(q.Until) })
	slices.SortStableFunc(b.Gone, func(p, q gone) int { return p.last().Compare(q.last()) })
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
		mine.Hold, mine.Gone = slices.Clone(mine.Hold), slices.Clone(mine.Gone)
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
