// Tests of the changes feed: what is in it, where it goes on, and how it waits.

package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	kivik "github.com/go-kivik/kivik/v4"

	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

func TestChanges(t *testing.T) {
	db := newDB(t)
	b := put(t, db, "b", `{"n":1}`)
	put(t, db, "_design/x", `{}`)
	a := put(t, db, "a", `{}`)
	b = put(t, db, "b", `{"n":2,"_rev":"`+b+`"}`)
	a = remove(t, db, "a", a)
	rows, meta := changes(t, db, kivik.IncludeDocs())
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprintf("%s %v %s", r.id, r.deleted, r.doc))
	}
	want := []string{
		"_design/x false " + get(t, db, "_design/x"),
		"b false " + get(t, db, "b"),
		`a true {"_id":"a","_rev":"` + a + `","_deleted":true}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if rows[1].rev != b || rows[2].rev != a {
		t.Errorf("revisions: %v", rows)
	}
	if s := stats(t, db); meta.LastSeq != s.UpdateSeq || meta.LastSeq != rows[2].seq || meta.Pending != 0 || !strings.HasPrefix(meta.LastSeq, "5-") {
		t.Errorf("metadata %+v, update_seq %s", meta, s.UpdateSeq)
	}

	since := rows[0].seq
	tests := map[string]struct {
		opts    map[string]any
		want    string
		last    string
		pending int64
	}{
		"since":             {map[string]any{"since": since}, "b a", "5", 0},
		"since, quoted":     {map[string]any{"since": `"` + since + `"`}, "b a", "5", 0},
		"since 0":           {map[string]any{"since": 0}, "_design/x b a", "5", 0},
		"since now":         {map[string]any{"since": "now"}, "", "5", 0},
		"since the end":     {map[string]any{"since": meta.LastSeq}, "", "5", 0},
		"from the future":   {map[string]any{"since": "9" + meta.LastSeq}, "_design/x b a", "5", 0},
		"of another":        {map[string]any{"since": "3-g1AAAACTeJzLYWBgYMpgTmHgz8tPSTV0MDQy1zMAQsMckEQiQ1L9____szKYExlzgQLsBokGqWapSdg04DEmjwVIMjQAqf8o5oEAAH9uJPo="}, "_design/x b a", "5", 0},
		"limit":             {map[string]any{"limit": 1}, "_design/x", "2", 2},
		"limit since":       {map[string]any{"limit": 1, "since": since}, "b", "4", 1},
		"limit, exact":      {map[string]any{"limit": 3}, "_design/x b a", "5", 0},
		"limit 0":           {map[string]any{"limit": 0}, "", "0", 3},
		"descending":        {map[string]any{"descending": true, "since": "now"}, "a b _design/x", "2", 0},
		"last one":          {map[string]any{"descending": true, "limit": 1}, "a", "5", 2},
		"longpoll":          {map[string]any{"feed": "longpoll"}, "_design/x b a", "5", 0},
		"longpoll, limited": {map[string]any{"feed": "longpoll", "limit": 2}, "_design/x b", "4", 1},
		"style":             {map[string]any{"style": "main_only", "heartbeat": 1000}, "_design/x b a", "5", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rows, meta := changes(t, db, kivik.Params(test.opts))
			var got []string
			for _, r := range rows {
				got = append(got, r.id)
			}
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("%q, want %q", s, test.want)
			}
			if last, _, _ := strings.Cut(meta.LastSeq, "-"); last != test.last || meta.Pending != test.pending {
				t.Errorf("%+v, want %s and %d", meta, test.last, test.pending)
			}
		})
	}
	for name, opts := range map[string]map[string]any{
		"number": {"since": 5}, "word": {"since": "yesterday"}, "no opaque": {"since": "5-"}, "odd": {"since": "5-ä"},
		"feed": {"feed": "fax"}, "limit": {"limit": "x"}, "timeout": {"timeout": -1}, "heartbeat": {"heartbeat": "0"}, "style": {"style": "x"},
	} {
		if err := db.Changes(t.Context(), kivik.Params(opts)).Err(); kivik.HTTPStatus(err) != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A re-created database does not take the old one's sequences for its own.
func TestSinceOfDestroyedDatabase(t *testing.T) {
	db := newDB(t)
	put(t, db, "old", `{}`)
	_, meta := changes(t, db)
	if err := db.Client().DestroyDB(t.Context(), "db"); err != nil {
		t.Fatal(err)
	}
	create(t, db.Client(), "db")
	put(t, db, "new", `{}`)
	rows, now := changes(t, db, kivik.Param("since", meta.LastSeq))
	if len(rows) != 1 || rows[0].id != "new" || now.LastSeq == meta.LastSeq {
		t.Errorf("%v, %+v", rows, now)
	}
}

func TestChangesInPages(t *testing.T) {
	db := newDB(t)
	fillDB(t, db, 2000)
	whole, _ := changes(t, db)
	var paged []aChange
	since := "0"
	for left := int64(2000); left > 0; {
		rows, meta := changes(t, db, kivik.Params(map[string]any{"since": since, "limit": 300}))
		paged = append(paged, rows...)
		since, left = meta.LastSeq, meta.Pending
		if want := int64(2000 - len(paged)); left != want {
			t.Fatalf("pending %d, want %d", left, want)
		}
	}
	if len(whole) != 2000 || !slices.Equal(whole, paged) {
		t.Errorf("%d rows at once, %d in pages", len(whole), len(paged))
	}
}

// What a limit leaves over is counted up to a bound, and estimated from above then.
func TestPendingOfLongFeed(t *testing.T) {
	db := newDB(t)
	fillDB(t, db, 12_000)
	for _, descending := range []bool{false, true} {
		_, meta := changes(t, db, kivik.Params(map[string]any{"limit": 100, "descending": descending}))
		if meta.Pending < 11_900 || meta.Pending > 12_000 {
			t.Errorf("descending %v: pending %d, want 11900 or a little more", descending, meta.Pending)
		}
	}
}

// A follower on longpolls hears of every document, whatever comes between a
// look and a wait.
func TestFollowerMissesNothing(t *testing.T) {
	db := newDB(t)
	const writers, each = 4, 100
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				if _, err := db.Put(t.Context(), fmt.Sprintf("%d-%d", w, i), map[string]any{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]bool{}
	for since := "0"; len(seen) < writers*each; {
		rows, meta, err := feed(t.Context(), db, kivik.Params(map[string]any{"feed": "longpoll", "since": since, "limit": 50}))
		if err != nil || len(rows) == 0 {
			t.Fatalf("%d documents seen, then %d rows since %s: %v", len(seen), len(rows), since, err)
		}
		for _, row := range rows {
			if seen[row.id] {
				t.Errorf("%s came twice", row.id)
			}
			seen[row.id] = true
		}
		since = meta.LastSeq
	}
	group.Wait()
}

// waiting starts a longpoll, and returns when it waits.
func waiting(ctx context.Context, db *kivik.DB, opts map[string]any) <-chan answer {
	result := make(chan answer, 1)
	params := map[string]any{"feed": "longpoll", "since": "now"}
	for k, v := range opts {
		params[k] = v
	}
	go func() {
		rows, meta, err := feed(ctx, db, kivik.Params(params))
		result <- answer{rows, meta, err}
	}()
	synctest.Wait()
	return result
}

type answer struct {
	rows []aChange
	meta *kivik.ChangesMetadata
	err  error
}

// inBubble runs a test on a clock that jumps as soon as everybody waits.
func inBubble(t *testing.T, test func(t *testing.T, store *embedded.Store, db *kivik.DB)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store := embedded.New(dir + "/gatehouse.db")
		defer store.Close() //nolint:errcheck // some tests have closed it
		client := store.Client()
		create(t, client, "db", "other")
		test(t, store, client.DB("db"))
	})
}

func TestLongpollWakes(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *embedded.Store, db *kivik.DB) {
		began := time.Now()
		var polls []<-chan answer
		for range 5 {
			polls = append(polls, waiting(t.Context(), db, map[string]any{"include_docs": true}))
		}
		put(t, db.Client().DB("other"), "x", `{}`)
		put(t, db, "_local/x", `{}`) // no change that a feed has
		synctest.Wait()
		rev := put(t, db, "a", `{}`)
		for _, poll := range polls {
			got := <-poll
			if got.err != nil || len(got.rows) != 1 || got.rows[0].rev != rev || got.rows[0].doc == "" || got.meta.LastSeq != got.rows[0].seq {
				t.Errorf("%+v", got)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it polled: %v went by", took)
		}
	})
}

func TestLongpollTimeout(t *testing.T) {
	for name, test := range map[string]struct {
		opts map[string]any
		want time.Duration
	}{
		"default":  {nil, time.Minute},
		"shorter":  {map[string]any{"timeout": 1500}, 1500 * time.Millisecond},
		"duration": {map[string]any{"timeout": "0"}, 0},
		"longer":   {map[string]any{"timeout": 3_600_000}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *embedded.Store, db *kivik.DB) {
				put(t, db, "a", `{}`)
				began := time.Now()
				got := <-waiting(t.Context(), db, test.opts)
				if took := time.Since(began); got.err != nil || len(got.rows) != 0 || took != test.want {
					t.Errorf("%+v after %v, want %v", got, took, test.want)
				}
				if s := stats(t, db); got.meta == nil || got.meta.LastSeq != s.UpdateSeq {
					t.Errorf("last_seq %+v, update_seq %s", got.meta, s.UpdateSeq)
				}
			})
		})
	}
}

// A heartbeat keeps a longpoll waiting, as CouchDB documents it.
func TestLongpollHeartbeat(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *embedded.Store, db *kivik.DB) {
		poll := waiting(t.Context(), db, map[string]any{"heartbeat": 1000, "timeout": 2000})
		<-time.After(time.Hour) // of the bubble's own time
		put(t, db, "a", `{}`)
		if got := <-poll; got.err != nil || len(got.rows) != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestLongpollEnds(t *testing.T) {
	tests := map[string]struct {
		end  func(t *testing.T, store *embedded.Store, db *kivik.DB, cancel func())
		want func(answer) bool
	}{
		"by its context": {
			func(_ *testing.T, _ *embedded.Store, _ *kivik.DB, cancel func()) { cancel() },
			func(a answer) bool { return errors.Is(a.err, context.Canceled) },
		},
		"with the store": {
			func(t *testing.T, store *embedded.Store, _ *kivik.DB, _ func()) {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			},
			func(a answer) bool { return errors.Is(a.err, embedded.ErrClosed) && kivik.HTTPStatus(a.err) == 503 },
		},
		"with the database": {
			func(t *testing.T, _ *embedded.Store, db *kivik.DB, _ func()) {
				if err := db.Client().DestroyDB(t.Context(), "db"); err != nil {
					t.Error(err)
				}
			},
			func(a answer) bool {
				return a.err == nil && len(a.rows) == 0 && strings.HasPrefix(a.meta.LastSeq, "1-")
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, store *embedded.Store, db *kivik.DB) {
				put(t, db, "a", `{}`)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				poll := waiting(ctx, db, nil)
				test.end(t, store, db, cancel)
				if got := <-poll; !test.want(got) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestCloseOfWaitingFeed(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *embedded.Store, db *kivik.DB) {
		c := db.Changes(t.Context(), kivik.Params(map[string]any{"feed": "longpoll", "since": "now"}))
		done := make(chan bool)
		go func() { done <- c.Next() }()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if <-done || c.Err() != nil {
			t.Errorf("Next after Close: %v", c.Err())
		}
	})
}
