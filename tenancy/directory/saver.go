// Saver: when snapshots are written, and how one is taken up at the start.

package directory

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"go.uber.org/zap"
)

// savingShare bounds the share of time that goes into snapshots: a pause is at
// least so many times as long as the writing took.
const savingShare = 20

// markUnsaved says that the snapshot on disk is out of date.
func (d *Directory) markUnsaved() {
	d.unsaved.Store(true)
	select {
	case d.dirty <- struct{}{}:
	default:
	}
}

// keepSnapshots writes a snapshot some time after each change, until ctx ends.
// Changes in between share one.
func (d *Directory) keepSnapshots(ctx context.Context) {
	var took time.Duration
	for {
		select {
		case <-d.dirty:
		case <-ctx.Done():
			return
		}
		pause(ctx, max(d.opts.SnapshotEvery, savingShare*took))
		if ctx.Err() != nil {
			return // what is left is written at the end
		}
		began := d.opts.Now()
		d.saveIfNew()
		took = d.opts.Now().Sub(began)
	}
}

// saveIfNew writes the snapshot if anything has changed since the last one.
//
// The position is taken before the entries, so that the file is never behind its
// own `since`; what it is ahead is read a second time, which changes nothing.
// Tombstones are not kept: whatever is read from `since` on says what each
// document is now, and a removal stays in the feed.
func (d *Directory) saveIfNew() {
	if !d.unsaved.Swap(false) {
		return
	}
	d.mu.Lock()
	x, at := d.served.Load(), d.at
	d.mu.Unlock()
	if x == nil {
		return
	}
	err := writeSnapshot(d.opts.Snapshot, d.header(at), x)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil:
		d.markUnsaved() // try again
		if d.status.savingErr == "" {
			d.log.Error("the directory's snapshot cannot be written; a restart without the store would begin from an older one",
				zap.String("path", d.opts.Snapshot), zap.Error(err))
		}
		d.status.savingErr = err.Error()
	default:
		if d.status.savingErr != "" {
			d.log.Info("the directory's snapshot can be written again", zap.String("path", d.opts.Snapshot))
		}
		d.status.savingErr, d.status.savedAt = "", d.opts.Now()
	}
}

func (d *Directory) header(at position) header {
	return header{Identity: d.opts.Identity, Database: d.opts.Database, Born: at.born, Since: at.since, Known: at.known}
}

// restore takes up the snapshot, if there is one that fits. Anything wrong with
// it is reported, and the directory loads from the store instead.
func (f *follower) restore() {
	d := f.d
	if d.opts.Snapshot == "" {
		return
	}
	began := d.opts.Now()
	x, head, err := readSnapshot(d.opts.Snapshot, d.header(position{}))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.log.Error("the directory's snapshot is not used", zap.String("path", d.opts.Snapshot), zap.Error(err))
		}
		return
	}
	f.since, f.born, f.high = head.Since, head.Born, seqNumber(head.Since)
	d.mu.Lock()
	defer d.mu.Unlock()
	for e := range d.loading.all { // applied meanwhile
		_, _ = x.apply(e.facts()) // an index that is full by now has told of it
	}
	for id, stone := range d.loading.dead.byID {
		x.remove(id, stone.rev)
	}
	d.loading = x
	d.publish()
	d.at = position{born: head.Born, since: head.Since, known: head.Known}
	d.status.state, d.status.contact = FromSnapshot, head.Known
	d.log.Info("the directory serves from its snapshot", zap.Int("instances", d.Len()),
		zap.Time("known", head.Known), zap.Duration("took", d.opts.Now().Sub(began)))
}
