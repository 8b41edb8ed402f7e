// Tests of the client: databases, names, versions, and the driver's registration.

package embedded_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	kivik "github.com/go-kivik/kivik/v4"

	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

func TestDatabaseNames(t *testing.T) {
	client := newStore(t).Client()
	for name, status := range map[string]int{
		"a": 0, "global/instances": 0, "cozy0_$()+-/x": 0,
		"A": 400, "1a": 400, "_users": 400, "a b": 400, "a.b": 400, "a\n": 400, "ä": 400, "": 400,
		strings.Repeat("a", 239): 400,
	} {
		err := client.CreateDB(t.Context(), name, kivik.Params(map[string]any{"q": 1, "n": 1, "partitioned": false}))
		if got := kivik.HTTPStatus(err); got != status {
			t.Errorf("CreateDB(%q): status %d, want %d (%v)", name, got, status, err)
		}
	}
	err := client.CreateDB(t.Context(), "a")
	wantStatus(t, err, 412, "Precondition Failed: The database could not be created, the file already exists.")
	err = client.CreateDB(t.Context(), "parts", kivik.Param("partitioned", true))
	wantStatus(t, err, 501)
}

func TestDatabaseLife(t *testing.T) {
	client := newStore(t).Client()
	exists := func(want bool) {
		t.Helper()
		if got, err := client.DBExists(t.Context(), "db"); err != nil || got != want {
			t.Fatalf("DBExists: %v, %v, want %v", got, err, want)
		}
	}
	exists(false)
	wantStatus(t, client.DestroyDB(t.Context(), "db"), 404, "Not Found: Database does not exist.")
	create(t, client, "db")
	exists(true)
	put(t, client.DB("db"), "doc", `{}`)
	first := stats(t, client.DB("db"))
	if err := client.DestroyDB(t.Context(), "db"); err != nil {
		t.Fatal(err)
	}
	exists(false)
	_, err := client.DB("db").Stats(t.Context())
	wantStatus(t, err, 404, "Not Found: Database does not exist.")
	_, err = client.DB("db").Put(t.Context(), "doc", map[string]any{})
	wantStatus(t, err, 404, "Not Found: Database does not exist.")
	wantStatus(t, client.DB("db").AllDocs(t.Context()).Err(), 404)
	wantStatus(t, client.DB("db").Changes(t.Context()).Err(), 404)

	create(t, client, "db")
	second := stats(t, client.DB("db"))
	if second.start == first.start {
		t.Errorf("the re-created database has the same instance_start_time %s", first.start)
	}
	if second.DocCount != 0 || first.DocCount != 1 {
		t.Errorf("doc_count %d then %d, want 1 then 0", first.DocCount, second.DocCount)
	}
	if !strings.HasPrefix(second.UpdateSeq, "0-") {
		t.Errorf("update_seq %s", second.UpdateSeq)
	}
}

// A clock that stands still must not make two databases look like one.
func TestInstanceStartTimeIsUnique(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	client := newStore(t, embedded.Clock(func() time.Time { return at })).Client()
	create(t, client, "a", "b")
	a, b := stats(t, client.DB("a")).start, stats(t, client.DB("b")).start
	if a != "1700000000000000" || a == b {
		t.Errorf("instance_start_time %s and %s", a, b)
	}
}

type someStats struct {
	*kivik.DBStats
	start string
}

func stats(t testing.TB, db *kivik.DB) someStats {
	t.Helper()
	s, err := db.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var raw struct {
		Start string `json:"instance_start_time"`
		Seq   string `json:"update_seq"`
	}
	if err := json.Unmarshal(s.RawResponse, &raw); err != nil {
		t.Fatal(err)
	}
	if raw.Seq != s.UpdateSeq {
		t.Errorf("update_seq %s in the raw response, %s beside it", raw.Seq, s.UpdateSeq)
	}
	return someStats{s, raw.Start}
}

func TestAllDBs(t *testing.T) {
	client := newStore(t).Client()
	create(t, client, "c", "a", "b/x", "b")
	tests := map[string]struct {
		opts map[string]any
		want string
	}{
		"all":           {nil, "a b b/x c"},
		"start":         {map[string]any{"startkey": `"b"`}, "b b/x c"},
		"start_key":     {map[string]any{"start_key": `"b/"`}, "b/x c"},
		"end":           {map[string]any{"endkey": `"b"`}, "a b"},
		"exclusive end": {map[string]any{"endkey": `"b"`, "inclusive_end": false}, "a"},
		"descending":    {map[string]any{"descending": true}, "c b/x b a"},
		"down from":     {map[string]any{"descending": true, "startkey": `"b"`}, "b a"},
		"page":          {map[string]any{"skip": 1, "limit": 2}, "b b/x"},
		"none":          {map[string]any{"limit": 0}, ""},
		"prefix":        {map[string]any{"startkey": `"b/"`, "endkey": `"b/￰"`}, "b/x"},
		"high":          {map[string]any{"startkey": json.RawMessage(`"zz"`)}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := client.AllDBs(t.Context(), kivik.Params(test.opts))
			if err != nil {
				t.Fatal(err)
			}
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("%s, want %s", s, test.want)
			}
		})
	}
	_, err := client.AllDBs(t.Context(), kivik.Param("startkey", "b")) // not JSON
	wantStatus(t, err, 400)
	infos, err := client.AllDBsStats(t.Context())
	if err != nil || len(infos) != 4 || infos[1].Name != "b" {
		t.Errorf("AllDBsStats: %v, %v", infos, err)
	}
}

func TestVersionAndPing(t *testing.T) {
	client := newStore(t).Client()
	v, err := client.Version(t.Context())
	if err != nil || v.Vendor != "Gatehouse embedded" || !json.Valid(v.RawResponse) {
		t.Errorf("Version: %+v, %v", v, err)
	}
	if up, err := client.Ping(t.Context()); !up || err != nil {
		t.Errorf("Ping: %v, %v", up, err)
	}
}

// kivik.New with the driver's name makes a store of its own, and closes it.
func TestDriverByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "folder", "gatehouse.db")
	for range 2 { // the second finds the file unlocked
		client, err := kivik.New("embedded", path, embedded.MaxDocumentSize(100))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Dir(path)); err == nil && !slices.Contains(must(client.AllDBs(t.Context())), "db") {
			t.Error("the database is gone")
		}
		_ = client.CreateDB(t.Context(), "db")
		_, err = client.DB("db").Put(t.Context(), "big", map[string]string{"x": strings.Repeat("x", 200)})
		wantStatus(t, err, 413, "Request Entity Too Large: big")
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want mode %v", path, info.Mode(), err, mode)
		}
	}
	_, err := kivik.New("embedded", "")
	wantStatus(t, err, 400)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestUnsupported(t *testing.T) {
	db := newDB(t)
	ctx := t.Context()
	put(t, db, "a", "{}")
	client := db.Client()
	errs := map[string]error{
		"continuous":   db.Changes(ctx, kivik.Param("feed", "continuous")).Err(),
		"filter":       db.Changes(ctx, kivik.Param("filter", "_selector")).Err(),
		"find":         db.Find(ctx, `{"selector":{}}`).Err(),
		"view":         db.Query(ctx, "domain-and-aliases", "domain-and-aliases", kivik.Param("queries", "[]")).Err(),
		"open revs":    db.OpenRevs(ctx, "a", []string{"all"}).Err(),
		"revs diff":    db.RevsDiff(ctx, map[string]any{}).Err(),
		"bulk get":     db.BulkGet(ctx, []kivik.BulkGetReference{{ID: "a"}}).Err(),
		"updates":      client.DBUpdates(ctx).Err(),
		"new_edits":    second(db.Put(ctx, "b", map[string]any{}, kivik.Param("new_edits", false))),
		"bulk edits":   second(db.BulkDocs(ctx, []any{map[string]any{}}, kivik.Param("new_edits", false))),
		"attachments":  second(db.Put(ctx, "b", json.RawMessage(`{"_attachments":{"f":{"data":"QQ=="}}}`))),
		"attachment":   second(db.GetAttachment(ctx, "a", "f")),
		"explain":      second(db.Explain(ctx, `{"selector":{}}`)),
		"purge":        second(db.Purge(ctx, map[string][]string{})),
		"membership":   second(client.Membership(ctx)),
		"session":      second(client.Session(ctx)),
		"config":       second(client.Config(ctx, "_local")),
		"replications": second(client.GetReplications(ctx)),
	}
	for name, err := range errs {
		if kivik.HTTPStatus(err) != 501 || !strings.HasPrefix(err.Error(), "the embedded store does not support ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"compact": db.Compact(ctx), "compact view": db.CompactView(ctx, "x"), "cleanup": db.ViewCleanup(ctx), "flush": db.Flush(ctx),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
