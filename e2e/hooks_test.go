// Hooks that are told of changes and may refuse one, and names in quarantine.

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// hookKey and hookSecret are one secret, in bytes and as an operator writes it.
const hookKey = "0123456789abcdefghijklmnopqrstuv"

var hookSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte(hookKey))

// told is an event that has come in.
type told struct {
	ID, Type, Domain, Instance, Prefix, Reason, Link, Email string
	Name                                                    string `json:"public_name"`
}

// receiver is told of changes.
type receiver struct {
	t   testing.TB
	url string
	*received
}

type received struct {
	mu     sync.Mutex
	events []told
	bad    []string          // what was wrong with some
	refuse map[string]string // domains whose destroy is refused, and why
	fail   int               // so many events are not taken, at first
}

func receive(t testing.TB) *receiver {
	r := &receiver{t: t, received: &received{refuse: map[string]string{}}}
	s := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

func (r *receiver) in(t testing.TB) *receiver { return &receiver{t, r.url, r.received} }

// lines are those of the configuration.
func (r *receiver) lines() string {
	out := ""
	for _, kind := range []string{"before_destroy", "after_add", "after_block", "send_link"} {
		out += fmt.Sprintf("\n\t\t%s %s/%s", kind, r.url, kind)
	}
	return out + "\n\t\thook_secret {env.GATEHOUSE_HOOK_SECRET}"
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var e told
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id, at := req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp")
	mac := hmac.New(sha256.New, []byte(hookKey))
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	switch {
	case err != nil:
		r.bad = append(r.bad, err.Error())
	case req.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)):
		r.bad = append(r.bad, "the signature of "+string(body))
	case req.URL.Path != "/"+e.Type || e.ID != id:
		r.bad = append(r.bad, fmt.Sprintf("%s with the id %s has %s", req.URL.Path, id, body))
	}
	if r.fail > 0 && e.Type != "before_destroy" {
		r.fail--
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	r.events = append(r.events, e)
	if why := r.refuse[e.Domain]; why != "" && e.Type == "before_destroy" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, `{"error":%q}`, why)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// gets waits for an event, and gives the last of its kind.
func (r *receiver) gets(d *door, kind, domain string) (e told) {
	r.t.Helper()
	d.wait(kind+" is told of "+domain, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, got := range r.events {
			if got.Type == kind && got.Domain == domain {
				e = got
			}
		}
		if e.ID == "" {
			return fmt.Errorf("there are %v", r.events)
		}
		return nil
	})
	return e
}

func hooksTold(t *testing.T, w *two) {
	w.hooks.mu.Lock()
	w.hooks.fail = 1 // the first is tried again
	w.hooks.mu.Unlock()
	w.one.add("alice.localhost", params{"Email": "alice@example.com", "PublicName": "Alice", "Send": true})
	record := w.server.record("alice.localhost")
	e := w.hooks.gets(w.one, "after_add", "alice.localhost")
	if e.Instance != record["_id"] || e.Prefix != record["prefix"] || e.Link != "" {
		t.Errorf("after_add: %+v", e)
	}
	link := w.hooks.gets(w.one, "send_link", "alice.localhost")
	if !strings.HasPrefix(link.Link, "https://alice.localhost/?registerToken=") || link.Email != "alice@example.com" || link.Name != "Alice" {
		t.Errorf("send_link: %+v", link)
	}
	w.other.api(http.StatusOK, http.MethodPost, "/instances/alice.localhost/link", params{"Send": true})
	w.other.wait("another link is sent", func() error {
		if again := w.hooks.gets(w.other, "send_link", "alice.localhost"); again.Link == link.Link {
			return fmt.Errorf("%+v", again)
		}
		return nil
	})
	w.other.modify("alice.localhost", params{"Blocked": true, "BlockingReason": "PAYMENT_FAILED"})
	if e := w.hooks.gets(w.other, "after_block", "alice.localhost"); e.Reason != "PAYMENT_FAILED" {
		t.Errorf("after_block: %+v", e)
	}
	w.other.modify("alice.localhost", params{"Blocked": false})

	w.hooks.mu.Lock()
	w.hooks.refuse["alice.localhost"] = "the accounts are in use"
	w.hooks.mu.Unlock()
	_, stderr, code := w.one.try("instances", "destroy", "alice.localhost", "--force")
	if code != 4 {
		t.Errorf("a destroy that a hook refuses exits with %d", code)
	}
	says(t, "a destroy that a hook refuses", stderr, "the hook before_destroy refuses: 409: the accounts are in use")
	w.one.answers("alice.localhost", 200)
	w.other.answers("alice.localhost", 200)
	if now := w.server.record("alice.localhost"); now["deleting"] != nil || now["blocked"] != nil {
		t.Errorf("after that the record is %v", now)
	}
	w.hooks.mu.Lock()
	delete(w.hooks.refuse, "alice.localhost")
	if len(w.hooks.bad) > 0 {
		t.Errorf("what was wrong with hooks: %q", w.hooks.bad)
	}
	w.hooks.mu.Unlock()
	says(t, "the metrics", w.one.api(200, http.MethodGet, "/metrics", nil).body,
		`gatehouse_hook_deliveries_total{kind="after_add",outcome="delivered"} 1`, `gatehouse_hook_deliveries_total{kind="before_destroy",outcome="refused"} 1`)
	_, token, _ := strings.Cut(link.Link, "=")
	keeps(t, "the log", w.one.log.String(), token)
}

// quarantined goes on with alice.localhost, whose destroy is not refused any more.
func quarantined(t *testing.T, w *two) {
	w.one.modify("alice.localhost", params{"DomainAliases": "al.localhost"})
	w.other.answers("al.localhost", 200)
	w.one.run("instances", "destroy", "alice.localhost", "--force", "--quarantine", "1h")
	for _, d := range []*door{w.one, w.other} {
		for _, host := range []string{"alice.localhost", "al.localhost", "drive.alice.localhost"} {
			d.answers(host, http.StatusGone)
			isCode(t, host, d.mustGet(host, "/", "Accept", jsonType), 410, "QUARANTINED")
		}
	}
	_, stderr, code := w.other.try("instances", "add", "al.localhost")
	if code != 4 {
		t.Errorf("an add of a name in quarantine exits with %d", code)
	}
	says(t, "an add of a name in quarantine", stderr, "in quarantine", "quarantine lift")
	if all := w.other.listOf("/tenancy/quarantine"); len(all) != 2 || all[0]["name"] != "al.localhost" || all[1]["domain"] != "alice.localhost" {
		t.Errorf("the quarantines are %v", all)
	}
	w.other.run("instances", "quarantine", "lift", "alice.localhost")
	for _, d := range []*door{w.one, w.other} {
		d.answers("alice.localhost", 404)
		d.answers("al.localhost", 404)
	}
	w.other.add("alice.localhost", params{"DomainAliases": "al.localhost"})
	w.one.answers("al.localhost", 200)
}
