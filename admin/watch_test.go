// Watch: events of changes, and coming back to them.

package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// stream is a watch that is open.
type stream struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel func()
	last   string // id
}

func (a *api) watch(since string) *stream {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	a.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", a.url+"/tenancy/watch", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	if since != "" {
		req.Header.Set("Last-Event-ID", since)
	}
	if a.auth != "" {
		req.Header.Set("Authorization", a.auth)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		a.t.Fatalf("watching: %s", resp.Status)
	}
	return &stream{t: a.t, lines: bufio.NewScanner(resp.Body), cancel: cancel}
}

// next is the next event; nil where only an id came.
func (s *stream) next() *admin.Change {
	s.t.Helper()
	var change *admin.Change
	for s.lines.Scan() {
		line := s.lines.Text()
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			s.last = id
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			change = new(admin.Change)
			if err := json.Unmarshal([]byte(data), change); err != nil {
				s.t.Fatal(err)
			}
		}
		if line == "" {
			return change
		}
	}
	s.t.Fatalf("the watch has ended (%v)", s.lines.Err())
	return nil
}

func TestWatch(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{testkit.KindEmbedded, testkit.KindPouchDB} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cluster := func() *couch.Cluster {
				if kind == testkit.KindEmbedded {
					return testkit.EmbeddedStore(t).Cluster
				}
				return testkit.Cluster(t, couch.Config{URLs: []string{testkit.PouchDB(t).URL()}})
			}()
			a, other := newAPIOn(t, cluster), newAPIOn(t, cluster)
			a.must(201, "POST", "/instances", `{"Domain":"before.example.com"}`)
			w := a.watch("")
			if c := w.next(); c != nil || w.last == "" {
				t.Errorf("at first there is %+v, and the place %q", c, w.last)
			}
			other.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`)
			if c := w.next(); c == nil || c.Type != "changed" || c.Domain != "alice.example.com" || c.State != "active" || c.ID == "" || c.Rev == "" {
				t.Errorf("after an add: %+v", c)
			}
			since := w.last
			a.must(200, "PATCH", "/instances/alice.example.com", `{"Blocked":true,"BlockingReason":"PAYMENT_FAILED"}`)
			if c := w.next(); c == nil || c.State != "blocked" || c.Reason != "PAYMENT_FAILED" {
				t.Errorf("after a block: %+v", c)
			}
			w.cancel()
			a.must(204, "DELETE", "/instances/alice.example.com", "")
			a.must(200, "PATCH", "/instances/before.example.com", `{"Locale":"fr"}`)
			// At another front door, from the place that the first has told.
			again := other.watch(since)
			seen := map[string]string{}
			for len(seen) < 2 {
				if c := again.next(); c != nil {
					seen[c.Type] = c.Domain
				}
			}
			if seen["changed"] != "before.example.com" {
				t.Errorf("since then: %v", seen)
			}
		})
	}
}

func TestWatchLimits(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`)
	for _, bad := range []string{"999999", "nonsense", strings.Repeat("9", 5000)} {
		a.must(400, "GET", "/tenancy/watch?since="+bad, "")
	}
	var streams []*stream
	for range 32 {
		s := a.watch("")
		s.next()
		streams = append(streams, s)
	}
	contains(t, "the 33rd", a.must(503, "GET", "/tenancy/watch", "").body, "32 are watching")
	a.must(201, "POST", "/instances", `{"Domain":"bob.example.com"}`)
	for _, s := range streams {
		if c := s.next(); c == nil || c.Domain != "bob.example.com" {
			t.Errorf("one of them sees %+v", c)
		}
	}
	gone := newAPIOn(t, testkit.Cluster(t, couch.Config{URLs: []string{"http://127.0.0.1:1"}}))
	gone.must(503, "GET", "/tenancy/watch", "")
}

// TestWatchEnds: with the listener, and with the configuration.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	x := listen(t, &admin.Listener{Address: "127.0.0.1:0", BasicAuth: hashOf(t, "open sesame")})
	s := x.watch("")
	s.next()
	if err := x.listener.Stop(); err != nil {
		t.Error(err)
	}
	for s.lines.Scan() {
	}
}

// TestWatchCommand: it comes back after its connection has gone, and goes on from
// where it was.
func TestWatchCommand(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	answers := make(chan func(w http.ResponseWriter), 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Last-Event-ID")
		select {
		case answer := <-answers:
			answer(w)
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	send := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, text)
		}
	}
	answers <- send("id: 5\n: nothing new\n\nevent: instance\ndata: {\"type\":\"changed\",\"id\":\"1\",\"domain\":\"a.example.com\",\"state\":\"active\"}\n\n" +
		"id: 7\nevent: instance\ndata: {\"type\":\"removed\",\"id\":\"2\"}\n\nid: 8\ndata: {\"cut")
	answers <- func(w http.ResponseWriter) {
		w.WriteHeader(400)
		fmt.Fprint(w, `{"errors":[{"status":"400","detail":"no place that the store knows"}]}`)
	}
	answers <- func(w http.ResponseWriter) {
		w.WriteHeader(403)
		fmt.Fprint(w, `{"errors":[{"status":"403","detail":"not for you"}]}`)
	}
	var out, errs lockedBuffer
	code := commandTo(t.Context(), server.URL, "", &out, &errs, "watch", "--since", "3")
	if code != 1 || len(asked) != 3 {
		t.Fatalf("exit code %d after %d tries: %s", code, len(asked), errs.String())
	}
	if first, second, third := <-asked, <-asked, <-asked; first != "3" || second != "7" || third != "" {
		t.Errorf("it asked for %q, %q, %q", first, second, third)
	}
	if out.String() != "changed  a.example.com active\nremoved  2\n" {
		t.Errorf("it shows %q", out.String())
	}
	contains(t, "what it says", errs.String(), "going on from now", "not for you")
}

// TestWatchReload: a watch does not stay with a configuration that is gone.
func TestWatchReload(t *testing.T) {
	t.Parallel()
	first, second := newApp(t, testkit.EmbeddedStore(t).Cluster), newApp(t, testkit.EmbeddedStore(t).Cluster)
	now := make(chan admin.App, 1)
	now <- first
	server := httptest.NewServer(admin.NewHandler(func() admin.App {
		app := <-now
		now <- app
		return app
	}, zap.NewNop()))
	defer server.Close()
	a := &api{t: t, url: server.URL, app: first}
	s := a.watch("")
	s.next()
	<-now
	now <- second
	if _, err := first.cycle.Add(t.Context(), parse(t, "alice.example.com"), noChange, nil); err != nil {
		t.Fatal(err)
	}
	for s.lines.Scan() {
	}
}
