// The main job, end to end, on the embedded store.

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

const prefixOfAlice = "cozy96262a67eb347adbb098088822c991f5" // of the SHA-256 of alice.localhost

func TestTour(t *testing.T) {
	d := newDoor(t, "store embedded ./data\n\t\tcertificates {\n\t\t\tapps drive\n\t\t}")
	d.startReady()
	d.run("instances", "add", "bob.localhost")
	load := newLoad(t, d, "bob.localhost")

	out := d.run("instances", "add", "alice.localhost", "--locale", "fr", "--email", "alice@example.com", "--public-name", "Alice")
	token := regexp.MustCompile(`Registration token: "([0-9a-f]{32})"`).FindStringSubmatch(out)
	if !strings.Contains(out, "Instance created with success for domain alice.localhost\n") || token == nil ||
		!strings.Contains(out, "https://alice.localhost/?registerToken="+token[1]) {
		t.Fatalf("add prints:\n%s", out)
	}

	want := "domain=alice.localhost prefix=" + prefixOfAlice + " slug= uri=/hello?a=b"
	a := d.mustGet("alice.localhost", "/hello?a=b", "X-Gatehouse-Domain", "evil", "X_Gatehouse_Prefix", "evil")
	if a.status != 200 || a.body != want {
		t.Errorf("over HTTP: %d %q, want %q", a.status, a.body, want)
	}
	secure := d.tls()
	for host, slug := range map[string]string{"alice.localhost": "", "drive.alice.localhost": "drive"} {
		url := fmt.Sprintf("https://%s:%d/hello", host, d.https)
		a, err := fetch(secure, url, "")
		want := "domain=alice.localhost prefix=" + prefixOfAlice + " slug=" + slug + " uri=/hello"
		if err != nil || a.body != want {
			t.Errorf("%s: %q, %v; want %q", url, a.body, err, want)
		}
	}
	for _, host := range []string{"nobody.localhost", "photos.alice.localhost"} {
		if _, err := fetch(secure, fmt.Sprintf("https://%s:%d/", host, d.https), ""); err == nil {
			t.Errorf("%s has got a certificate", host)
		}
	}
	says(t, "the metrics", d.api(200, http.MethodGet, "/metrics", nil).body,
		`gatehouse_tls_denied_total{reason="unknown"} 1`, `gatehouse_tls_denied_total{reason="app"} 1`)

	t.Run("block", func(t *testing.T) { tourBlock(t, d) })
	t.Run("explain", func(t *testing.T) { tourExplain(t, d) })
	t.Run("destroy", func(t *testing.T) { tourDestroy(t, d) })
	load.end()
	d.stop()
	t.Run("nothing is left", func(t *testing.T) { tourLeft(t, d) })
}

func tourBlock(t *testing.T, d *door) {
	d.run("instances", "modify", "alice.localhost", "--blocked", "--blocking-reason", "PAYMENT_FAILED")
	a := d.mustGet("alice.localhost", "/", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language", "en")
	if a.status != http.StatusPaymentRequired || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") ||
		a.header.Get("Content-Language") != "fr" || !strings.Contains(a.body, "Ce site est suspendu") || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a browser gets %d %v\n%s", a.status, a.header, a.body)
	}
	a = d.mustGet("alice.localhost", "/", "Accept", "application/json")
	var doc struct {
		Errors []struct{ Status, Code string }
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != 402 || len(doc.Errors) != 1 || doc.Errors[0].Code != "PAYMENT_FAILED" {
		t.Errorf("a machine gets %d %s", a.status, a.body)
	}
	if a := d.mustGet("alice.localhost", "/robots.txt"); a.status != 200 || !strings.Contains(a.body, "Disallow: /") {
		t.Errorf("robots.txt: %d %q", a.status, a.body)
	}
	if a := d.mustGet("drive.alice.localhost", "/"); a.status != 402 {
		t.Errorf("an app of a blocked instance: %d", a.status)
	}
	d.run("instances", "modify", "alice.localhost", "--blocked=false")
	if a := d.mustGet("alice.localhost", "/"); a.status != 200 {
		t.Errorf("after unblocking: %d", a.status)
	}
	if out := d.run("instances", "show", "alice.localhost"); strings.Contains(out, "block") || strings.Contains(out, "secret") || strings.Contains(out, "register_token") {
		t.Errorf("show after unblocking:\n%s", out)
	}
	d.run("instances", "modify", "alice.localhost", "--blocked", "--blocking-reason", `on <b>holiday</b>`)
	a = d.mustGet("alice.localhost", "/", "Accept", "text/html")
	if a.status != 503 || a.header.Get("Retry-After") != "3600" || strings.Contains(a.body, "<b>holiday") || !strings.Contains(a.body, "&lt;b&gt;holiday") {
		t.Errorf("a reason of the operator's own: %d %v\n%s", a.status, a.header, a.body)
	}
	d.run("instances", "modify", "alice.localhost", "--blocked=false")
}

func tourExplain(t *testing.T, d *door) {
	var x struct{ Normal, Match, By, Slug, Domain, State, Verdict, Why, Directory string }
	if err := json.Unmarshal([]byte(d.run("instances", "explain", "Drive.Alice.localhost.:8080", "--json")), &x); err != nil {
		t.Fatal(err)
	}
	if x.Normal != "drive.alice.localhost:8080" || x.Match != "alice.localhost" || x.By != "domain" || x.Slug != "drive" ||
		x.State != "active" || x.Verdict != "serve" || x.Directory != "following" {
		t.Errorf("explain: %+v", x)
	}
}

func tourDestroy(t *testing.T, d *door) {
	if _, stderr, code := d.tryWith("bob.localhost\n", "instances", "destroy", "alice.localhost"); code != 1 || !strings.Contains(stderr, "nothing was destroyed") {
		t.Errorf("a wrong confirmation exits with %d: %s", code, stderr)
	}
	if a := d.mustGet("alice.localhost", "/"); a.status != 200 {
		t.Errorf("after a wrong confirmation: %d", a.status)
	}
	if out, stderr, code := d.tryWith("alice.localhost\n", "instances", "destroy", "alice.localhost"); code != 0 {
		t.Fatalf("destroy exits with %d: %s%s", code, out, stderr)
	}
	if a := d.mustGet("alice.localhost", "/"); a.status != 404 {
		t.Errorf("after a destroy: %d", a.status)
	}
	if _, err := fetch(d.tls(), fmt.Sprintf("https://photos.alice.localhost:%d/", d.https), ""); err == nil {
		t.Error("after a destroy an app of the instance has got a certificate")
	}
	if _, _, code := d.try("instances", "show", "alice.localhost"); code != 3 {
		t.Errorf("show after a destroy exits with %d", code)
	}
	if _, _, code := d.try("instances", "destroy", "alice.localhost", "--force"); code != 3 {
		t.Errorf("a second destroy exits with %d", code)
	}
}

// tourLeft looks into the store of the stopped front door.
func tourLeft(t *testing.T, d *door) {
	store := embedded.New(d.dir + "/data/gatehouse.db")
	defer store.Close()
	c := couch.Wrap("left", store.Client())
	ctx := context.Background()
	all, err := c.ListDBs(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	bob := 0
	for _, db := range all {
		switch {
		case strings.HasPrefix(db, prefixOfAlice):
			t.Errorf("database %s is left", db)
		case strings.HasPrefix(db, "cozy"):
			bob++
		}
	}
	if bob != 16 {
		t.Errorf("bob has %d databases", bob)
	}
	for db, want := range map[string]string{"gatehouse/claims": "bob.localhost", "global/instances": ""} {
		var ids []string
		err := c.Walk(ctx, db, couch.Range{}, func(r couch.Row) error {
			if !strings.HasPrefix(r.ID, "_design/") {
				ids = append(ids, r.ID)
			}
			return nil
		})
		if err != nil || len(ids) != 1 || want != "" && ids[0] != want {
			t.Errorf("%s has %v (%v)", db, ids, err)
		}
	}
}

// load asks for a host without a pause, and knows every answer that is not 200.
type load struct {
	t      testing.TB
	stop   chan struct{}
	done   sync.WaitGroup
	served atomic.Int64
	again  atomic.Int64 // at the second try
	mu     sync.Mutex
	failed []string
}

func newLoad(t testing.TB, d *door, host string) *load {
	l := &load{t: t, stop: make(chan struct{})}
	for range 4 {
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				a, err := d.get(host, "/load")
				if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
					// A new connection that the server of before a reload had not accepted,
					// or not read from yet, which a client opens again.
					l.again.Add(1)
					a, err = d.get(host, "/load")
				}
				if err == nil && a.status == 200 && strings.Contains(a.body, "domain="+host) {
					l.served.Add(1)
					continue
				}
				l.mu.Lock()
				if len(l.failed) < 10 {
					l.failed = append(l.failed, fmt.Sprintf("%d %v %s", a.status, err, a.body))
				}
				l.mu.Unlock()
			}
		})
	}
	return l
}

// end stops asking. Every request must have been served.
func (l *load) end() {
	l.t.Helper()
	close(l.stop)
	l.done.Wait()
	if len(l.failed) > 0 || l.served.Load() == 0 {
		l.t.Errorf("%d requests were served, and these were not: %q", l.served.Load(), l.failed)
	}
	l.t.Logf("%d requests were served meanwhile, %d of them at the second try", l.served.Load(), l.again.Load())
	if l.again.Load() > 10 {
		l.t.Errorf("%d connections were reset", l.again.Load())
	}
}
