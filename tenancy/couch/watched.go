// Watched: the body of an answer, whose silence is bounded.

package couch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"
)

// errQuiet ends a feed whose server is alive and has nothing to tell.
var errQuiet = errors.New("no change")

// watched is the body of an answer. A read that takes longer than the limit ends
// with errSilent: the time between two bytes tells a dead node from a busy one,
// while the time of the whole answer does not.
type watched struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	limit  time.Duration // 0 for none
	feed   *feedLimits   // nil for a call
	begun  time.Time     // of a feed's request
	last   byte          // the last one read that is no space
}

// start sets the limit running; the function that it gives back stops it.
func (w *watched) start() (stop func()) {
	if w.begun.IsZero() {
		w.begun = time.Now()
	}
	if w.limit <= 0 {
		return func() {}
	}
	timer := time.AfterFunc(w.limit, func() { w.cancel(errSilent) })
	return func() { timer.Stop() }
}

// cause names the reason where err comes from our own limit.
func (w *watched) cause(ctx context.Context, err error) error {
	if context.Cause(ctx) == errSilent {
		return errSilent
	}
	return err
}

// Read ends with errQuiet where a feed's server sends signs of life instead of an
// answer after the time that it was asked to wait, and has sent no change yet: a
// server other than CouchDB may not know the parameter timeout, and such a feed
// would never end.
func (w *watched) Read(p []byte) (int, error) {
	stop := w.start()
	n, err := w.body.Read(p)
	stop()
	if err != nil && err != io.EOF {
		return n, w.cause(w.ctx, err)
	}
	if w.feed == nil {
		return n, err
	}
	if some := bytes.TrimSpace(p[:n]); len(some) > 0 {
		w.last = some[len(some)-1]
	} else if n > 0 && err == nil && (w.last == 0 || w.last == '[') &&
		w.feed.wait > 0 && time.Since(w.begun) > w.feed.wait {
		return 0, errQuiet
	}
	return n, err
}

// Close lets the connection go.
func (w *watched) Close() error {
	err := w.body.Close()
	w.cancel(nil)
	return err
}
