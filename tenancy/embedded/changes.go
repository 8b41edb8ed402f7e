// Changes: the feed of a database, at once or waiting for the next change.

package embedded

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	kivik "github.com/go-kivik/kivik/v4"
	"github.com/go-kivik/kivik/v4/driver"

	"github.com/gatehouse-edge/gatehouse/tenancy/internal/feedctx"
)

// maxWait is CouchDB's changes_timeout, the default and the limit of how long a
// longpoll waits.
const maxWait = time.Minute

// maxPending bounds the count of what a limited feed leaves over. Beyond it the
// number is an upper bound: an exact one would be a scan for each page.
const maxPending = 10_000

// changesQuery is what a feed is asked for.
type changesQuery struct {
	longpoll    bool
	descending  bool
	includeDocs bool
	since       string
	limit       int64 // -1: none
	wait        time.Duration
	forever     bool // a heartbeat was asked for, which keeps a longpoll waiting
}

// changesQuery reads the options of
// https://docs.couchdb.org/en/stable/api/database/changes.html; 400 for what
// CouchDB refuses, 501 for what it alone has.
func (p params) changesQuery() (q changesQuery, err error) {
	switch feed := p.text("feed"); feed {
	case "", "normal":
	case "longpoll":
		q.longpoll = true
	case "continuous", "live", "eventsource":
		return q, unsupported("the feed " + feed + ": ask for feed=longpoll")
	default:
		return q, badRequest("Supported `feed` types: normal, continuous, live, longpoll, eventsource")
	}
	if filter := p.text("filter"); filter != "" || p["doc_ids"] != nil {
		return q, unsupported("filters of the changes feed")
	}
	switch p.text("style") {
	case "", "main_only", "all_docs": // the same, where nothing conflicts
	default:
		return q, badRequest("badarg")
	}
	q.descending = p.boolean("descending", false)
	q.includeDocs = p.boolean("include_docs", false)
	q.since = p.text("since")
	if q.limit, err = p.natural("limit", -1); err != nil {
		return q, err
	}
	wait, err := p.natural("timeout", maxWait.Milliseconds())
	if err != nil {
		return q, err
	}
	q.wait = min(time.Duration(min(wait, maxWait.Milliseconds()))*time.Millisecond, maxWait)
	if heartbeat := p.text("heartbeat"); heartbeat != "" {
		if n, err := strconv.ParseInt(heartbeat, 10, 64); heartbeat != "true" && (err != nil || n < 1) {
			return q, badRequest("The heartbeat value should be a positive integer (in milliseconds).")
		}
		q.forever = true
	}
	return q, nil
}

// Changes gives the last change of each document, in the order of the changes. A
// longpoll that finds none waits for the next; it ends without rows after the
// option timeout (ms; 60,000 by default and at most), and when the database is
// destroyed, and with an error that is ErrClosed when the store is closed.
// Descending ignores since, as CouchDB does. Errors: 400 and 501 for options,
// 404 without the database.
func (d *db) Changes(ctx context.Context, options driver.Options) (driver.Changes, error) {
	params, err := readParams(options)
	if err != nil {
		return nil, err
	}
	query, err := params.changesQuery()
	if err != nil {
		return nil, err
	}
	f := &feed{db: d, query: query}
	f.ctx, f.cancel = context.WithCancel(feedctx.Of(ctx))
	if query.longpoll {
		f.deadline = time.Now().Add(query.wait)
	}
	if err := f.fill(); err != nil {
		f.cancel()
		return nil, err
	}
	return f, nil
}

// feed is a feed under way. Next and the metadata are for one goroutine; Close
// may come from another, and ends a Next that waits.
type feed struct {
	db       *db
	ctx      context.Context
	cancel   context.CancelFunc
	closed   atomic.Bool
	query    changesQuery
	deadline time.Time

	started bool
	uuid    [16]byte
	opaque  string
	left    keyRange
	upTo    uint64 // the database's sequence when the last round began
	last    uint64 // of the last row that was read
	pending int64

	chunk []driver.Change
	found bool // a row was read
	ended bool // no chunk is left in this round
}

// Next gives the next change; io.EOF at the end.
func (f *feed) Next(out *driver.Change) error {
	for len(f.chunk) == 0 {
		if f.closed.Load() {
			return io.EOF
		}
		if !f.ended {
			if err := f.fill(); err != nil {
				return err
			}
			continue
		}
		if f.found || !f.query.longpoll || f.query.descending || f.query.limit == 0 {
			return io.EOF
		}
		if err := f.wait(); err != nil {
			return err
		}
	}
	*out = f.chunk[0]
	f.chunk = f.chunk[1:]
	return nil
}

// wait returns nil when there are rows; io.EOF when the time is up.
func (f *feed) wait() error {
	var timeout <-chan time.Time
	if !f.query.forever {
		timer := time.NewTimer(time.Until(f.deadline))
		defer timer.Stop()
		timeout = timer.C
	}
	for {
		// The channel first, then the look: a change in between closes it.
		wake, done := f.db.store.wakes.wait(f.db.name)
		err := f.again()
		if err != nil || len(f.chunk) > 0 {
			done()
			return err
		}
		select {
		case <-wake:
			done()
		case <-timeout:
			done()
			return io.EOF
		case <-f.ctx.Done():
			done()
			if f.closed.Load() {
				return io.EOF
			}
			return f.ctx.Err()
		case <-f.db.store.stop:
			done()
			return f.db.store.errClosed()
		}
	}
}

// again looks for what came since the last round; io.EOF when the database is
// gone, or is another one by now.
func (f *feed) again() error {
	f.ended = false
	err := f.fill()
	if kivik.HTTPStatus(err) == http.StatusNotFound {
		f.ended = true
		return io.EOF
	}
	return err
}

// fill reads a chunk. A round ends at the sequence that the database had when it
// began, or an endless writer would keep it from ending.
func (f *feed) fill() error {
	return f.db.store.read(f.ctx, f.db.name, func(t *database) error {
		if err := f.begin(t); err != nil {
			return err
		}
		f.chunk = nil
		if f.query.limit == 0 {
			return f.end(t)
		}
		left := newBudget()
		more, err := f.left.walk(t.bucket, f.query.descending, func(key, value []byte) (bool, error) {
			made, err := f.change(t, key, value)
			if err != nil {
				return false, err
			}
			f.chunk = append(f.chunk, made)
			f.found = true
			left.rows--
			left.bytes -= len(made.ID) + len(made.Doc)
			if f.query.limit > 0 {
				f.query.limit--
			}
			return f.query.limit != 0 && !left.spent(), nil
		})
		if err != nil {
			return err
		}
		if !more || f.query.limit == 0 {
			return f.end(t)
		}
		return nil
	})
}

// begin places the feed at its first chunk, and moves its end at each new round.
func (f *feed) begin(t *database) error {
	switch {
	case !f.started:
		since, err := t.since(f.query.since)
		if err != nil {
			return err
		}
		f.started = true
		f.uuid, f.opaque = t.counters.uuid, t.opaque()
		f.upTo, f.last = t.counters.seq, since
		f.left = keyRange{lower: seqKey(since + 1), upper: seqKey(f.upTo + 1)}
		if f.query.descending {
			f.last = f.upTo
			f.left.lower = seqKey(0)
		}
	case f.uuid != t.counters.uuid:
		return missingDatabase()
	case f.query.longpoll && !f.found:
		f.upTo = t.counters.seq
		f.left.upper = seqKey(f.upTo + 1)
	}
	return nil
}

// end notes what the metadata says: the last row's place where a limit cut the
// round off, the end of the round otherwise.
func (f *feed) end(t *database) error {
	f.ended = true
	if f.query.limit != 0 {
		if !f.query.descending {
			f.last = f.upTo
		}
		return nil
	}
	rest := f.left
	_, err := rest.walk(t.bucket, f.query.descending, func(_, _ []byte) (bool, error) {
		f.pending++
		return f.pending < maxPending, nil
	})
	if f.pending == maxPending {
		beyond := f.upTo - f.last
		if f.query.descending {
			beyond = f.last
		}
		f.pending = max(f.pending, int64(min(beyond, t.counters.docs+t.counters.deleted)))
	}
	return err
}

// change makes a row of the feed.
func (f *feed) change(t *database, key, value []byte) (driver.Change, error) {
	c, err := decodeChange(value)
	if err != nil {
		return driver.Change{}, err
	}
	f.last = binary.BigEndian.Uint64(key[1:])
	made := driver.Change{
		ID:      c.id,
		Seq:     f.sequence(f.last),
		Deleted: c.deleted,
		Changes: driver.ChangedRevs{c.rev.String()},
	}
	if f.query.includeDocs {
		doc, _, err := t.doc(c.id)
		if err != nil {
			return made, err
		}
		made.Doc = renderDoc(c.id, doc, nil)
	}
	return made, nil
}

func (f *feed) sequence(n uint64) string {
	return strconv.FormatUint(n, 10) + "-" + f.opaque
}

// Close ends the feed, and a Next that waits.
func (f *feed) Close() error {
	f.closed.Store(true)
	f.cancel()
	return nil
}

// LastSeq is where the next request goes on.
func (f *feed) LastSeq() string { return f.sequence(f.last) }

// Pending is how many changes a limit left over; exact up to 10,000, and at
// least 10,000 and at most too many above that.
func (f *feed) Pending() int64 { return f.pending }

// ETag is empty: nothing caches this feed.
func (f *feed) ETag() string { return "" }

// Interface guards.
var _ driver.Changes = (*feed)(nil)
