// One front door before several stacks, with Caddy's own reverse_proxy.

package caddymodule_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// stack is an upstream that answers with its name. It gives its address.
func stack(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// proxied sends a request through the handler and a reverse_proxy.
func proxied(h, proxy caddyhttp.MiddlewareHandler, host string) (body string, err error) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = host
	w := httptest.NewRecorder()
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
	end := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return errors.New("nobody answers") })
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return proxy.ServeHTTP(w, r, end) })
	if h == nil {
		err = next.ServeHTTP(w, r)
	} else {
		err = h.ServeHTTP(w, r, next)
	}
	return w.Body.String(), err
}

func TestUpstreams(t *testing.T) {
	ctx, app := run(t, filepath.Join(t.TempDir(), "data"), fmt.Sprintf(`,
		"contexts":{"company":{"upstreams":[%q]},"default":{"locale":"fr"},"none":{}},
		"clusters":[{"index":0,"upstreams":[%q]},{"index":1,"urls":["http://127.0.0.1:1"],"capacity":10}]`,
		stack(t, "the context's"), stack(t, "the cluster's")))
	add(t, app, "company.localhost", lifecycle.Change{ContextName: ptr("company")})
	add(t, app, "none.localhost", lifecycle.Change{ContextName: ptr("none"), CouchCluster: ptr(0)})
	add(t, app, "alice.localhost", lifecycle.Change{CouchCluster: ptr(0)})
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"pass_hosts":["login.localhost"],"unknown":"pass"}`)
	proxy := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.reverse_proxy",
		fmt.Sprintf(`{"dynamic_upstreams":{"source":"tenancy","upstreams":[%q]}}`, stack(t, "the default")))
	for host, want := range map[string]string{
		"company.localhost": "the context's", "drive.company.localhost": "the context's",
		"none.localhost": "the cluster's", "alice.localhost": "the cluster's",
		"login.localhost": "the default", "nobody.localhost": "the default",
	} {
		if got, err := proxied(h, proxy, host); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", host, got, err, want)
		}
	}
}

func TestUpstreamsOfDefault(t *testing.T) {
	ctx, app := run(t, filepath.Join(t.TempDir(), "data"), fmt.Sprintf(`,"contexts":{"default":{"upstreams":[%q]},"none":{}}`, stack(t, "default")))
	add(t, app, "alice.localhost", lifecycle.Change{})
	add(t, app, "none.localhost", lifecycle.Change{ContextName: ptr("none")})
	add(t, app, "other.localhost", lifecycle.Change{ContextName: ptr("other")})
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{}`)
	proxy := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.reverse_proxy", `{"dynamic_upstreams":{"source":"tenancy"}}`)
	for _, host := range []string{"alice.localhost", "none.localhost", "other.localhost"} {
		if got, err := proxied(h, proxy, host); got != "default" || err != nil {
			t.Errorf("%s: %q, %v", host, got, err)
		}
	}
}

func TestNoUpstream(t *testing.T) {
	ctx, app := run(t, filepath.Join(t.TempDir(), "data"), `,"contexts":{"company":{}}`)
	add(t, app, "company.localhost", lifecycle.Change{ContextName: ptr("company")})
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"unknown":"pass"}`)
	proxy := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.reverse_proxy", `{"dynamic_upstreams":{"source":"tenancy"}}`)
	for host, want := range map[string]string{
		"company.localhost": "there is no upstream for company.localhost: neither its context (company) nor its cluster (0) has one",
		"nobody.localhost":  "has no `default` upstream",
	} {
		_, err := proxied(h, proxy, host)
		var answer caddyhttp.HandlerError
		if !errors.As(err, &answer) || answer.StatusCode != http.StatusBadGateway || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q with 502", host, err, want)
		}
	}
	// An instance that nobody has looked for could be a blocked one.
	withDefault := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.reverse_proxy",
		fmt.Sprintf(`{"dynamic_upstreams":{"source":"tenancy","upstreams":[%q]}}`, stack(t, "the default")))
	if body, err := proxied(nil, withDefault, "company.localhost"); err == nil {
		t.Errorf("without the handler: %q", body)
	}
	static := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.reverse_proxy",
		fmt.Sprintf(`{"dynamic_upstreams":{"source":"tenancy"},"upstreams":[{"dial":%q}]}`, stack(t, "static")))
	if body, err := proxied(h, static, "company.localhost"); body != "static" || err != nil {
		t.Errorf("static upstreams: %q, %v", body, err)
	}
}

// TestFailuresAreRemembered: the first of two upstreams is down. Which one is, is
// known to the second request, although each has values of its own.
func TestFailuresAreRemembered(t *testing.T) {
	ctx, app := run(t, filepath.Join(t.TempDir(), "data"),
		fmt.Sprintf(`,"contexts":{"default":{"upstreams":[%q,%q]}}`, nobody(t), stack(t, "well")))
	add(t, app, "alice.localhost", lifecycle.Change{})
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{}`)
	proxy := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.reverse_proxy", `{
		"dynamic_upstreams":{"source":"tenancy"},"load_balancing":{"selection_policy":{"policy":"first"}},
		"health_checks":{"passive":{"fail_duration":"1h","max_fails":1}}}`)
	_, err := proxied(h, proxy, "alice.localhost")
	var answer caddyhttp.HandlerError
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusBadGateway || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("the first request: %v", err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if body, err := proxied(h, proxy, "alice.localhost"); body != "well" || err != nil {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
	all.Wait()
}
