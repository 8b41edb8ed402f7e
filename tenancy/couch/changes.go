// Changes: the feed of a database, by longpoll.

package couch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-kivik/kivik/v4"

	"github.com/gatehouse-edge/gatehouse/tenancy/internal/feedctx"
)

// Change is the latest change of one document.
type Change struct {
	ID      string
	Rev     string
	Deleted bool
	Doc     json.RawMessage // with `_id` and `_rev`; of a deletion just these
}

// Feed says what to read of a changes feed.
type Feed struct {
	Since string        // a sequence of the same database, or empty for the beginning
	Wait  time.Duration // how long the server may hold the answer when there is nothing; 0 for not at all
	Limit int           // at most so many changes; 0 for PageSize
}

// Changes reads one answer of the feed, gives each change to fn in order, and
// returns the sequence to go on from. more tells whether there were more changes
// than the limit. fn's error ends it and is returned, with the sequence that it
// began from. A node that is silent for longer than Wait and Config.FeedGrace is an
// ErrUnavailable.
//
// It is a longpoll for each answer rather than a continuous feed: kivik's
// continuous iterator cannot survive the end of the stream, and a dead peer could
// not be told from a quiet one.
// https://docs.couchdb.org/en/stable/api/database/changes.html
func (c *Cluster) Changes(ctx context.Context, db string, feed Feed, fn func(Change) error) (last string, more bool, err error) {
	if feed.Limit <= 0 {
		feed.Limit = PageSize
	}
	params := map[string]any{
		"feed": "normal", "include_docs": true, "limit": feed.Limit, "since": "0",
	}
	if feed.Since != "" {
		params["since"] = feed.Since
	}
	if feed.Wait > 0 {
		params["feed"], params["timeout"] = "longpoll", strconv.FormatInt(feed.Wait.Milliseconds(), 10)
	}
	d, err := c.database("changes", db)
	if err != nil {
		return feed.Since, false, err
	}
	ctx = context.WithValue(ctx, feedKey{}, feedLimits{wait: feed.Wait, grace: c.grace})
	ctx, cancel := c.within(context.WithCancel(ctx))
	defer cancel()
	rows := d.Changes(feedctx.Seal(ctx), kivik.Params(params))
	defer rows.Close()
	seen := 0
	last = feed.Since
	for rows.Next() {
		change := Change{ID: rows.ID(), Deleted: rows.Deleted()}
		if change.ID == "" {
			continue
		}
		if revs := rows.Changes(); len(revs) > 0 {
			change.Rev = revs[0]
		}
		// An absent document stays nil; the follower reports it.
		if rows.ScanDoc(&change.Doc) != nil || string(change.Doc) == "null" {
			change.Doc = nil
		}
		seen++
		if err := fn(change); err != nil {
			return last, false, err
		}
	}
	if err := rows.Err(); err != nil {
		if errors.Is(err, errQuiet) && seen == 0 {
			return last, false, c.reached(ctx, db, last)
		}
		return last, false, wrap("changes", db, "", err)
	}
	meta, err := rows.Metadata()
	if err != nil {
		return last, false, wrap("changes", db, "", err)
	}
	if meta.LastSeq != "" {
		last = meta.LastSeq
	}
	if seen == 0 {
		return last, false, c.reached(ctx, db, feed.Since)
	}
	return last, seen >= feed.Limit, nil
}

// reached checks that a database without changes since a sequence has ever come
// to it. CouchDB knows its own sequences; a server that counts 1, 2, 3 waits for ever
// beyond its last, as after a database was made anew. An ErrRefused then.
func (c *Cluster) reached(ctx context.Context, db, since string) error {
	n, err := strconv.ParseUint(since, 10, 64)
	if err != nil || n == 0 {
		return nil
	}
	info, err := c.Info(ctx, db)
	if err != nil {
		return err
	}
	if at, err := strconv.ParseUint(info.UpdateSeq, 10, 64); err == nil && at < n {
		return &Error{Op: "changes", Database: db, Status: http.StatusBadRequest,
			Err: fmt.Errorf("the sequence %d is not of this database, which is at %d", n, at)}
	}
	return nil
}
