// Changes: the feed of a database, by longpoll.

package couch

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/go-kivik/kivik/v4"
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
	Wait  time.Duration // how long the server may hold the answer when there is nothing
	Limit int           // at most so many changes; 0 for PageSize
}

// feedGrace is how much longer than Wait an answer may take: a peer that does
// not answer by then is taken as dead. A first read of many documents may need
// the whole of the call's limit.
const feedGrace = 30 * time.Second

// Changes reads one answer of the feed, gives each change to fn in order, and
// returns the sequence to go on from. more tells whether there were more changes
// than the limit. fn's error ends it and is returned.
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
	c.calls.Add(1)
	ctx, cancel := context.WithTimeout(ctx, feed.Wait+feedGrace)
	defer cancel()
	rows := c.client.DB(db).Changes(ctx, kivik.Params(params))
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
		// An absent document (null) stays nil; the follower reports it.
		_ = rows.ScanDoc(&change.Doc)
		seen++
		if err := fn(change); err != nil {
			return last, false, err
		}
	}
	if err := rows.Err(); err != nil {
		return last, false, wrap("changes", db, "", err)
	}
	meta, err := rows.Metadata()
	if err != nil {
		return last, false, wrap("changes", db, "", err)
	}
	if meta.LastSeq != "" {
		last = meta.LastSeq
	}
	return last, seen >= feed.Limit, nil
}
