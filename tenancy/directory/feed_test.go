// A feed without a database: documents and their sequence, and what goes wrong
// with them.

package directory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// feed answers as a couch.Cluster does. As in CouchDB, each document has one row,
// at its latest change. It is safe for concurrent use.
type feed struct {
	mu      sync.Mutex
	born    string
	seq     int
	rows    []row
	missing bool          // there is no such database
	err     error         // what every call says
	changed chan struct{} // closed and made anew at each change
	asked   []couch.Feed  // each call of Changes
	infos   int
	// page, when set, is called after each answer of Changes.
	page func()
}

type row struct {
	seq int
	couch.Change
}

func newFeed(docs ...*tenancy.Instance) *feed {
	f := &feed{born: "1700000000", changed: make(chan struct{})}
	for _, doc := range docs { // no search for older rows: benchmarks have a million
		f.seq++
		f.rows = append(f.rows, row{f.seq, change(doc)})
	}
	return f
}

func change(doc *tenancy.Instance) couch.Change {
	raw, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return couch.Change{ID: doc.ID(), Rev: doc.Rev(), Doc: raw}
}

func (f *feed) put(docs ...*tenancy.Instance) {
	for _, doc := range docs {
		f.add(change(doc))
	}
}

func (f *feed) delete(id, rev string) {
	f.add(couch.Change{ID: id, Rev: rev, Deleted: true, Doc: json.RawMessage(`{"_deleted":true}`)})
}

func (f *feed) add(c couch.Change) {
	f.set(func() {
		f.rows = slices.DeleteFunc(f.rows, func(r row) bool { return r.ID == c.ID })
		f.seq++
		f.rows = append(f.rows, row{f.seq, c})
	})
}

// set changes anything and wakes waiting calls.
func (f *feed) set(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
	close(f.changed)
	f.changed = make(chan struct{})
}

// reborn is a new database under the old name.
func (f *feed) reborn(born string, docs ...*tenancy.Instance) {
	f.set(func() { f.born, f.seq, f.rows = born, 0, nil })
	f.put(docs...)
}

func (f *feed) problem() error {
	if f.missing {
		return &couch.Error{Op: "changes", Database: "global/instances", Status: 404, Err: fmt.Errorf("no_db_file")}
	}
	return f.err
}

func (f *feed) Info(ctx context.Context, db string) (couch.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.infos++
	if err := f.problem(); err != nil {
		return couch.Info{}, err
	}
	return couch.Info{Docs: int64(len(f.rows)), UpdateSeq: strconv.Itoa(f.seq) + "-opaque", Born: f.born}, nil
}

func (f *feed) Changes(ctx context.Context, db string, ask couch.Feed, fn func(couch.Change) error) (string, bool, error) {
	f.mu.Lock()
	f.asked = append(f.asked, ask)
	f.mu.Unlock()
	wait, cancel := context.WithTimeout(ctx, ask.Wait)
	defer cancel()
	for {
		f.mu.Lock()
		rows, seq, err, changed := f.after(ask), f.seq, f.problem(), f.changed
		page := f.page
		f.mu.Unlock()
		if err == nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		if err != nil {
			return ask.Since, false, err
		}
		more := len(rows) >= couch.PageSize
		if len(rows) > 0 || wait.Err() != nil {
			for _, r := range rows {
				if err := fn(r.Change); err != nil {
					return ask.Since, false, err
				}
				if more {
					seq = r.seq
				}
			}
			if page != nil {
				page()
			}
			return strconv.Itoa(seq) + "-opaque", more, nil
		}
		select {
		case <-changed:
		case <-wait.Done():
		}
	}
}

func (f *feed) after(ask couch.Feed) []row {
	digits, _, _ := strings.Cut(ask.Since, "-")
	since, _ := strconv.Atoi(digits)
	at, _ := slices.BinarySearchFunc(f.rows, since+1, func(r row, seq int) int { return r.seq - seq })
	return f.rows[at:min(len(f.rows), at+couch.PageSize)]
}
