// Watching changes at one front door that are made at another.

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// events is a watch that is open.
type events struct {
	t     testing.TB
	lines *bufio.Scanner
	end   func()
	last  string // id
}

func (d *door) watch(since string) *events {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	d.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://localhost:%d/tenancy/watch", d.admin), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if since != "" {
		req.Header.Set("Last-Event-ID", since)
	}
	resp, err := plain.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		d.t.Fatalf("watching: %s", resp.Status)
	}
	return &events{t: d.t, lines: bufio.NewScanner(resp.Body), end: cancel}
}

// event is a change, as the watch tells it.
type event struct{ Type, ID, Domain, State, Reason string }

// next reads to the end of an event; nil where it was none, and only told the place.
func (e *events) next() (found *event) {
	e.t.Helper()
	for e.lines.Scan() {
		line := e.lines.Text()
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			e.last = id
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			found = new(event)
			if err := json.Unmarshal([]byte(data), found); err != nil {
				e.t.Fatal(err)
			}
		}
		if line == "" {
			return found
		}
	}
	e.t.Fatalf("the watch has ended: %v", e.lines.Err())
	return nil
}

// until reads events until one is as it is looked for.
func (e *events) until(what string, is func(event) bool) (ids []string) {
	e.t.Helper()
	for {
		if got := e.next(); got != nil {
			ids = append(ids, got.ID)
			if is(*got) {
				return ids
			}
			if len(ids) > 1000 {
				e.t.Fatalf("no event is %s", what)
			}
		}
	}
}

func watched(t *testing.T, w *two) {
	seen := w.other.watch("")
	if e := seen.next(); e != nil || seen.last == "" {
		t.Errorf("at first there is %+v, and the place %q", e, seen.last)
	}
	w.one.add("watched.localhost", nil)
	seen.until("the add", func(e event) bool {
		return e == event{Type: "changed", ID: e.ID, Domain: "watched.localhost", State: "active"}
	})
	w.one.modify("watched.localhost", params{"Blocked": true, "BlockingReason": "PAYMENT_FAILED"})
	ids := seen.until("the block", func(e event) bool {
		return e == event{Type: "changed", ID: e.ID, Domain: "watched.localhost", State: "blocked", Reason: "PAYMENT_FAILED"}
	})
	id, place := ids[len(ids)-1], seen.last
	seen.end()

	// Nobody watches; then the first front door goes on where the other has ended.
	w.one.modify("watched.localhost", params{"Blocked": false})
	w.one.add("late.localhost", nil)
	w.one.api(http.StatusNoContent, http.MethodDelete, "/instances/watched.localhost", nil)
	again := w.one.watch(place)
	late := false
	again.until("the destroy", func(e event) bool {
		late = late || e.Domain == "late.localhost"
		return e.Type == "removed" && e.ID == id
	})
	if !late {
		t.Error("an add between two watches was missed")
	}
	w.one.api(http.StatusNoContent, http.MethodDelete, "/instances/late.localhost", nil)
	again.until("a change that comes after", func(e event) bool { return e.Type == "removed" && e.ID != id })
}
