// Follower: reads the changes feed of the instances' database, from the snapshot
// or the beginning, for as long as the directory lives.

package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Pauses between attempts: full jitter below a bound that doubles.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
	// hastyPause follows an empty answer that came without any wait, of a server
	// or proxy that does not know longpoll.
	hastyPause = 250 * time.Millisecond
	// firstDistrust is how long a sequence that went back, or is refused, is no
	// reason for one more reload after one for that reason: the copies of a shard
	// number their changes differently, so a cluster may show it without any loss.
	firstDistrust = time.Minute
	lastDistrust  = 24 * time.Hour
)

// follower is the feed's reader; one goroutine has it.
type follower struct {
	d     *Directory
	since string // where the next answer begins
	born  string // of the database that since belongs to
	high  uint64 // the highest number of a sequence that it gave out
	// unverified asks for a look at the database before since is used again.
	unverified bool
	caughtUp   bool          // an answer has ended the backlog
	gone       bool          // the database was missing
	failures   int           // in a row
	distrust   time.Duration // after a reload because of the sequence
	distrusted time.Time
}

// follow runs until ctx ends.
func (d *Directory) follow(ctx context.Context) {
	f := &follower{d: d, unverified: true}
	f.restore()
	for ctx.Err() == nil {
		if err := f.step(ctx); err != nil && ctx.Err() == nil {
			f.failed(err)
			pause(ctx, f.backoff())
		}
	}
}

// step reads one answer of the feed.
func (f *follower) step(ctx context.Context) error {
	if f.unverified {
		if err := f.verify(ctx); err != nil {
			return err
		}
		f.unverified = false
	}
	feed := couch.Feed{Since: f.since}
	if f.caughtUp {
		feed.Wait = f.d.opts.Wait
	}
	seen := 0
	began := f.d.opts.Now()
	last, more, err := f.d.opts.Cluster.Changes(ctx, f.d.opts.Database, feed, func(c couch.Change) error {
		seen++
		return f.take(ctx, c)
	})
	if err != nil {
		switch {
		case errors.Is(err, couch.ErrNotFound):
			f.gone = true
		case errors.Is(err, couch.ErrRefused) && f.since != "" && f.believe():
			f.reload("the store does not know the sequence")
		}
		return err
	}
	f.answered(last, more, seen)
	if feed.Wait > 0 && seen == 0 {
		f.unverified = true
		if f.d.opts.Now().Sub(began) < min(feed.Wait, hastyPause) {
			pause(ctx, hastyPause)
		}
	}
	return nil
}

// take hands on one change.
func (f *follower) take(ctx context.Context, c couch.Change) error {
	if isDesign(c.ID) {
		return nil
	}
	if f.d.opts.Read != nil && f.d.newer(c.ID, c.Rev) {
		return f.ask(ctx, c.ID)
	}
	if c.Deleted {
		f.d.remove(c.ID, c.Rev, true)
		return nil
	}
	if len(c.Doc) == 0 || string(c.Doc) == "null" {
		f.d.unreadable(c.ID, c.Rev, errNoDocument)
		return nil
	}
	doc, err := tenancy.ParseInstance(c.Doc)
	if err != nil {
		f.d.unreadable(c.ID, c.Rev, err)
		return nil
	}
	f.d.applyDoc(doc, true)
	return nil
}

// ask reads a document of which the feed shows an older revision than is known, and
// takes the store's word for it.
func (f *follower) ask(ctx context.Context, id string) error {
	raw, err := f.d.opts.Read(ctx, id)
	if errors.Is(err, couch.ErrNotFound) {
		f.d.forget(id)
		return nil
	}
	if err != nil {
		return err
	}
	doc, err := tenancy.ParseInstance(raw)
	if err != nil {
		return nil // what is known stays
	}
	facts, err := factsOf(doc)
	if err != nil {
		return nil
	}
	if f.d.newer(id, facts.rev) {
		f.d.log.Warn("the store has gone back to an older revision of an instance's document", zap.String("id", id), zap.String("rev", facts.rev))
	}
	_, err = f.d.change(true, func(x *index) (change, error) {
		if old, r := x.byID(id); r != 0 && old.Rev() == facts.rev {
			return change{}, nil
		}
		return x.put(facts)
	})
	if err != nil {
		f.d.unreadable(id, facts.rev, err)
	}
	return nil
}

// newer tells whether a newer revision of a document is known than this one.
func (d *Directory) newer(id, rev string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.served.Load()
	return d.loading == nil && x != nil && x.older(id, rev)
}

// forget removes an entry, and what is known of its revisions.
func (d *Directory) forget(id string) {
	_, _ = d.change(true, func(x *index) (change, error) { return x.forget(id), nil })
}

var errNoDocument = errors.New("the feed has a change without its document")

// answered notes an answer that was read to its end.
func (f *follower) answered(last string, more bool, seen int) {
	d := f.d
	f.since = last
	f.high = max(f.high, seqNumber(last)) // a restored database answers with a lower one
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.opts.Now()
	d.status.contact, d.status.storeErr = now, ""
	if d.loading != nil && !more {
		d.publish()
		d.status.loads++
		d.markUnsaved()
	}
	if d.loading == nil {
		d.at.since, d.at.born = last, f.born
		if seen > 0 {
			d.markUnsaved()
		}
	}
	if !more {
		f.caughtUp = true
		d.at.known = now
		if d.status.state != Following {
			d.status.state = Following
			d.log.Info("the directory follows its store", zap.Int("instances", d.Len()),
				zap.String("seq", shortSeq(last)), zap.Int("loads", d.status.loads))
		}
	}
	f.failures = 0
}

// failed notes an attempt that brought nothing. The first of a row is logged.
func (f *follower) failed(err error) {
	d := f.d
	f.unverified = true
	f.failures++
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.storeErr = err.Error()
	if d.status.state == Following {
		d.status.state = Stale
	}
	if f.failures == 1 {
		d.log.Warn("the store cannot be read; trying again, and serving what is known",
			zap.Bool("ready", d.served.Load() != nil), zap.Error(err))
	}
}

// backoff is the next pause: AWS calls it full jitter.
func (f *follower) backoff() time.Duration {
	bound := lastPause
	if shift := f.failures - 1; shift < 10 {
		bound = min(lastPause, firstPause<<shift)
	}
	return time.Duration(f.d.opts.Rand() * float64(bound))
}

// verify looks whether the database is still the one that since is of.
func (f *follower) verify(ctx context.Context) error {
	opts := &f.d.opts
	info, err := opts.Cluster.Info(ctx, opts.Database)
	if errors.Is(err, couch.ErrNotFound) {
		f.gone = f.since != "" || f.d.served.Load() != nil
		if opts.Ensure == nil || f.d.served.Load() != nil {
			return err
		}
		if err := opts.Ensure(ctx); err != nil {
			return fmt.Errorf("making the database %s: %w", opts.Database, err)
		}
		info, err = opts.Cluster.Info(ctx, opts.Database)
	}
	if err != nil {
		return err
	}
	switch {
	case f.gone:
		f.reload("the database was missing")
	case f.born != "" && info.Born != "" && f.born != info.Born:
		f.reload("the database is another one")
	case info.UpdateSeq != "" && seqNumber(info.UpdateSeq) < f.high && f.believe():
		f.reload("the database's sequence went back")
	}
	f.gone = false
	if info.Born != "" {
		f.born = info.Born
	}
	return nil
}

// believe tells whether a strange sequence is a reason to reload: always the
// first time, and then less and less often.
func (f *follower) believe() bool {
	now := f.d.opts.Now()
	if f.distrust > 0 && now.Sub(f.distrusted) < f.distrust {
		return false
	}
	if f.distrust > 0 && now.Sub(f.distrusted) > 2*lastDistrust {
		f.distrust = 0
	}
	f.distrust = min(max(firstDistrust, 2*f.distrust), lastDistrust)
	f.distrusted = now
	return true
}

// reload begins to read all from the beginning, aside. What was served stays
// until that is done.
func (f *follower) reload(why string) {
	d := f.d
	f.since, f.born, f.high, f.caughtUp = "", "", 0, false
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loading = newIndex()
	if d.served.Load() != nil {
		d.status.state = Stale
	}
	d.log.Warn("reading all instances again", zap.String("why", why))
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
