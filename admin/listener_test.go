// The API on a listener of its own.

package admin_test

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/access"
)

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

// listening is a running listener.
type listening struct {
	*api
	listener *admin.Listener
	logs     *observer.ObservedLogs
	clock    *clock
	registry *prometheus.Registry
}

func listen(t *testing.T, l *admin.Listener) *listening {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	x := &listening{listener: l, logs: logs, clock: newClock(), registry: prometheus.NewRegistry()}
	a := newApp(t, testkit.EmbeddedStore(t).Cluster)
	a.listener = l
	if err := l.ProvisionAt(x.registry, x.clock.Now); err != nil {
		t.Fatal(err)
	}
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(func() admin.App { return a }, zap.New(core)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	x.api = &api{t: t, url: "http://" + l.Addr().String(), app: a, auth: basic("open sesame")}
	return x
}

func TestListenerLogins(t *testing.T) {
	t.Parallel()
	x := listen(t, &admin.Listener{Address: "127.0.0.1:0", BasicAuth: hashOf(t, "open sesame")})
	x.must(200, "GET", "/instances/count", "")
	x.as(bearer(x.token("reader", access.Read))).must(200, "GET", "/instances/count", "")
	for _, bad := range []string{"", basic(""), basic("wrong"), bearer("open"), bearer("gh_x")} {
		x.as(bad).must(401, "GET", "/instances/count", "")
		x.as(bad).must(401, "GET", "/no/such/route", "")
		x.clock.add(time.Hour)
	}
	contains(t, "status", x.must(200, "GET", "/tenancy/status", "").body, `"login_failures":6`, `"tls":false`, x.listener.Addr().String())

	only := listen(t, &admin.Listener{Address: "127.0.0.1:0"})
	only.must(401, "GET", "/instances/count", "")
	only.as("").must(401, "GET", "/instances/count", "")
	only.as(basic(only.token("ci", access.Admin))).must(200, "GET", "/tenancy/tokens", "")

	empty := listen(t, &admin.Listener{Address: "127.0.0.1:0", BasicAuth: "{env.GATEHOUSE_NO_SUCH_VARIABLE}"})
	for _, bad := range []string{"", basic(""), basic("x")} {
		empty.as(bad).must(401, "GET", "/instances/count", "")
	}
}

// TestLockout: who fails has to wait, longer and longer; who is known to be right
// has not.
func TestLockout(t *testing.T) {
	t.Parallel()
	x := listen(t, &admin.Listener{Address: "127.0.0.1:0", BasicAuth: hashOf(t, "open sesame")})
	wrong := x.as(basic("wrong"))
	fail := func(n int) {
		for range n {
			wrong.must(401, "GET", "/instances/count", "")
			x.clock.add(time.Second)
		}
	}
	fail(4)
	x.must(200, "GET", "/instances/count", "")
	fail(1)
	for i, wait := range []string{"1", "4", "8", "16"} { // a second of the first has passed
		r := wrong.must(429, "GET", "/instances/count", "")
		x.must(200, "GET", "/instances/count", "") // the right one, which was right before, from the same address
		if got := r.header.Get("Retry-After"); got != wait && i == 0 || i > 0 && got != wait {
			t.Errorf("delay %d is %s s, want %s", i, got, wait)
		}
		d, err := time.ParseDuration(r.header.Get("Retry-After") + "s")
		if err != nil {
			t.Fatal(err)
		}
		x.clock.add(d)
		wrong.must(401, "GET", "/instances/count", "")
	}
	for range 12 { // at the longest delay
		x.clock.add(15 * time.Minute)
		wrong.must(401, "GET", "/instances/count", "")
	}
	if got := wrong.must(429, "GET", "/instances/count", "").header.Get("Retry-After"); got != "900" {
		t.Errorf("the longest delay is %s s", got)
	}
	x.clock.add(15 * time.Minute)
	x.must(200, "GET", "/instances/count", "")
	if n := x.listener.Failures(); n != 21 {
		t.Errorf("%d failures, want 21", n)
	}
	families, err := x.registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "gatehouse_api_login_failures_total" || families[0].Metric[0].Counter.GetValue() != 21 {
		t.Errorf("the metric: %v (%v)", families, err)
	}
	x.clock.add(31 * time.Minute) // forgotten
	fail(4)
	x.must(200, "GET", "/instances/count", "")
}

// TestNoSecrets: neither passphrases nor tokens are in any log or any answer but
// the one that they are for, whether a call succeeds or fails.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	x := listen(t, &admin.Listener{Address: "127.0.0.1:0", BasicAuth: hashOf(t, "open sesame")})
	token := x.token("reader", access.Read)
	const owner = "correct horse battery"
	query := url.Values{"Domain": {"alice.example.com"}, "Passphrase": {owner}, "KdfIterations": {"50000"}}
	answers := []reply{
		x.must(201, "POST", "/instances?"+query.Encode(), ""), // here a query may have it
		x.must(409, "POST", "/instances?"+query.Encode(), ""),
		x.must(400, "POST", "/instances?"+query.Encode()+"&Colour=red", ""),
		x.must(400, "PATCH", "/instances/alice.example.com?Passphrase="+url.QueryEscape(owner), ""),
		x.must(404, "POST", "/instances/bob.example.com/passphrase?Passphrase="+url.QueryEscape(owner), ""),
		x.must(200, "POST", "/instances/alice.example.com/passphrase?KdfIterations=50000&Passphrase="+url.QueryEscape(owner), ""),
		x.must(400, "POST", "/instances/token?Passphrase="+url.QueryEscape(owner), ""),
		x.must(200, "GET", "/instances/alice.example.com?Passphrase="+url.QueryEscape(owner), ""),
		x.as(bearer(token)).must(403, "DELETE", "/instances/alice.example.com?token="+token, ""),
		x.as(bearer(token[:len(token)-2]+"xx")).must(401, "GET", "/instances", ""),
		x.must(200, "POST", "/instances/import", `{"Domain":"alice.example.com","Passphrase":"`+owner+`"}`+"\n"+`{"Domain":"bob.example.com","Passphrase":"`+owner+`","KdfIterations":7}`, "Content-Type", "application/x-ndjson"),
		x.must(200, "GET", "/instances/alice.example.com/history", ""),
		x.must(200, "GET", "/tenancy/operations?All=true", ""),
		x.must(200, "GET", "/instances/export", ""),
		x.must(405, "PUT", "/instances/alice.example.com?Passphrase="+url.QueryEscape(owner), ""),
	}
	var everything strings.Builder
	for _, r := range answers {
		everything.WriteString(r.body + "\n")
	}
	for _, e := range x.logs.All() {
		everything.WriteString(e.Message)
		for _, f := range e.Context {
			everything.WriteString(" " + f.String)
			if err, ok := f.Interface.(error); ok {
				everything.WriteString(err.Error())
			}
		}
		everything.WriteString("\n")
	}
	if x.logs.Len() < 5 {
		t.Errorf("there are %d lines of log", x.logs.Len())
	}
	for _, secret := range []string{owner, url.QueryEscape(owner), url.PathEscape(owner), "open sesame", token[20:], token[20 : len(token)-2], "scrypt$"} {
		if strings.Contains(everything.String(), secret) {
			t.Errorf("%q is told in\n%s", secret, everything.String())
		}
	}
}

// TestOtherSites: a browser that remembers the passphrase is not led to changes.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	x := listen(t, &admin.Listener{Address: "127.0.0.1:0", BasicAuth: hashOf(t, "open sesame")})
	x.must(403, "POST", "/instances?Domain=alice.example.com", "", "Origin", "https://evil.example")
	x.must(403, "POST", "/instances?Domain=alice.example.com", "", "Sec-Fetch-Site", "cross-site")
	x.must(201, "POST", "/instances?Domain=alice.example.com", "", "Origin", x.url)
}

// TestListenerReload: the next one has the socket before the first gives it up.
func TestListenerReload(t *testing.T) {
	t.Parallel()
	// Not :0, which is a socket of its own to Caddy each time.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	first := listen(t, &admin.Listener{Address: free.Addr().String(), BasicAuth: hashOf(t, "open sesame")})
	next := &admin.Listener{Address: first.listener.Addr().String(), BasicAuth: hashOf(t, "another")}
	if err := next.ProvisionAt(nil, time.Now); err != nil {
		t.Fatal(err)
	}
	app := first.app
	if err := next.Start(func() admin.App { return app }, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := next.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := first.listener.Stop(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	first.as(basic("another")).must(200, "GET", "/instances/count", "")
}

func TestListenerCaddyfile(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]*admin.Listener{
		"api localhost:6060": {Address: "localhost:6060"},
		"api :6060 {\n basic_auth {env.GATEHOUSE_API_HASH}\n tls a.pem a.key\n}": {Address: ":6060", BasicAuth: "{env.GATEHOUSE_API_HASH}", Certificate: "a.pem", Key: "a.key"},
		"api": nil, "api a b": nil, "api :1 {\n tls a\n}": nil, "api :1 {\n basic_auth\n}": nil, "api :1 {\n colour red\n}": nil,
		"api :1 {\n basic_auth a\n basic_auth b\n}": nil, "api :1 {\n tls a b\n tls a b\n}": nil,
	} {
		got := new(admin.Listener)
		err := got.UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
		switch {
		case want == nil && err == nil:
			t.Errorf("%q is taken", input)
		case want != nil && (err != nil || got.Address != want.Address || got.BasicAuth != want.BasicAuth || got.Certificate != want.Certificate || got.Key != want.Key):
			t.Errorf("%q: %v", input, err)
		}
	}
	for _, l := range []*admin.Listener{
		{}, {Address: "localhost:1-5"}, {Address: "udp/localhost:1"}, {Address: ":1", Certificate: "a"}, {Address: ":1", Key: "a"}, {Address: ":1", BasicAuth: "hunter2"},
	} {
		err := l.ProvisionAt(nil, time.Now)
		if err == nil {
			err = l.Validate()
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s, %s, %s: %v", l.Address, l.Certificate, l.Key, err)
		}
	}
}
