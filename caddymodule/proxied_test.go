// The handler that sends requests on itself.

package caddymodule_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// mirror is an upstream that answers with what it was asked.
func mirror(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		w.Header().Set("X-Up", "yes")
		_ = r.Write(w)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// send sends a request through the handler. Nobody comes after it, unless next says.
func send(h caddyhttp.MiddlewareHandler, server *caddyhttp.Server, r *http.Request) (*httptest.ResponseRecorder, *caddy.Replacer, error) {
	w, repl := httptest.NewRecorder(), caddy.NewReplacer()
	r = caddyhttp.PrepareRequest(r, repl, w, server)
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	}))
	return w, repl, err
}

func at(host, path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	return r
}

func TestProxied(t *testing.T) {
	ctx, app := run(t, filepath.Join(t.TempDir(), "data"), fmt.Sprintf(`,"contexts":{"company":{"upstreams":[%q]}}`, stack(t, "the context's")))
	add(t, app, "company.localhost", lifecycle.Change{ContextName: ptr("company")})
	alice := add(t, app, "alice.localhost", lifecycle.Change{Locale: ptr("fr")})
	up := mirror(t)
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", fmt.Sprintf(`{"pass_hosts":["login.localhost"],"proxy":{"upstreams":[%q],
		"header_up":{"x-gatehouse-domain":"{http.tenancy.domain}","X-Gatehouse-Prefix":"{http.tenancy.prefix}","X-Both":"{http.tenancy.domain}, {http.request.method}","X-Fixed":"1"}}}`, up))

	r := at("drive.alice.localhost", "/a?b")
	r.Header.Set("X-Gatehouse-Domain", "evil")
	w, repl, err := send(h, new(caddyhttp.Server), r)
	if err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, err)
	}
	for _, line := range []string{"GET /a?b HTTP/1.1", "Host: drive.alice.localhost", "X-Gatehouse-Domain: alice.localhost", "X-Gatehouse-Prefix: " + alice.Prefix(), "X-Both: alice.localhost, GET", "X-Fixed: 1", "X-Forwarded-For: 192.0.2.1"} {
		if !strings.Contains(w.Body.String(), line+"\r\n") {
			t.Errorf("the upstream has not got %q:\n%s", line, w.Body)
		}
	}
	if got := repl.ReplaceAll("{http.reverse_proxy.upstream.address} {http.reverse_proxy.upstream.hostport} {http.reverse_proxy.status_code} {http.reverse_proxy.status_text} {http.reverse_proxy.header.X-Up} {http.reverse_proxy.retries} {http.tenancy.domain}", "?"); got != up+" "+up+" 200 OK yes 0 alice.localhost" {
		t.Errorf("placeholders: %s", got)
	}
	for _, key := range []string{"upstream.latency", "upstream.latency_ms", "duration", "duration_ms", "upstream.duration", "upstream.host", "upstream.port"} {
		if v, ok := repl.Get("http.reverse_proxy." + key); !ok || v == "" || v == time.Duration(0) {
			t.Errorf("%s: %v", key, v)
		}
	}
	if w, _, err := send(h, new(caddyhttp.Server), at("company.localhost", "/")); err != nil || w.Body.String() != "the context's" {
		t.Errorf("the context's upstream: %q %v", w.Body, err)
	}
	if w, _, err := send(h, new(caddyhttp.Server), at("login.localhost", "/")); err != nil || !strings.Contains(w.Body.String(), "X-Gatehouse-Domain: \r\n") {
		t.Errorf("a pass host: %d %q %v", w.Code, w.Body, err)
	}
	if w, _, err := send(h, new(caddyhttp.Server), at("nobody.localhost", "/")); err != nil || w.Code != http.StatusNotFound {
		t.Errorf("nobody's host: %d %v", w.Code, err)
	}
	requests := 0.0
	gather(t, ctx, "gatehouse_proxy_requests_total", func(labels map[string]string, v float64) {
		if labels["class"] == "2xx" {
			requests += v
		}
	})
	open := 0.0
	gather(t, ctx, "gatehouse_proxy_connections", func(_ map[string]string, v float64) { open += v })
	if requests != 3 || open != 2 {
		t.Errorf("%v requests, %v connections are counted", requests, open)
	}
}

// gather reads a metric.
func gather(t *testing.T, ctx caddy.Context, name string, each func(labels map[string]string, v float64)) {
	t.Helper()
	families, err := prometheus.Gatherer(ctx.GetMetricsRegistry()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			each(labels, m.GetCounter().GetValue()+m.GetGauge().GetValue())
		}
	}
}

// TestUnanswered: visitors get a page in their language, or handle_errors gets an error.
func TestUnanswered(t *testing.T) {
	ctx, app := run(t, filepath.Join(t.TempDir(), "data"), "")
	add(t, app, "alice.localhost", lifecycle.Change{Locale: ptr("fr")})
	handler := func(upstream, more string) caddyhttp.MiddlewareHandler {
		return load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", fmt.Sprintf(`{"support":"help@example.com","proxy":{"upstreams":[%q],"response_header_timeout":"150ms"%s}}`, upstream, more))
	}
	withErrors := &caddyhttp.Server{Errors: &caddyhttp.HTTPErrorConfig{Routes: caddyhttp.RouteList{{}}}}
	for name, tt := range map[string]struct {
		upstream, path, more string
		server               *caddyhttp.Server
		upgrade              bool
		status               int
		page                 string // empty: an error
	}{
		"refused":                     {nobody(t), "/", "", new(caddyhttp.Server), false, 502, "Ce site ne répond pas"},
		"slow":                        {mirror(t), "/slow", "", new(caddyhttp.Server), false, 504, "Ce site met trop de temps à répondre"},
		"refused, errors are handled": {nobody(t), "/", "", withErrors, false, 502, ""},
		"slow, errors are handled":    {mirror(t), "/slow", "", withErrors, false, 504, ""},
		"page":                        {nobody(t), "/", `,"errors":"page"`, withErrors, false, 502, "Ce site ne répond pas"},
		"pass":                        {nobody(t), "/", `,"errors":"pass"`, new(caddyhttp.Server), false, 502, ""},
		"upgrade":                     {nobody(t), "/", "", new(caddyhttp.Server), true, 502, "UPSTREAM_FAILED"},
		"upgrade, errors are handled": {nobody(t), "/", "", withErrors, true, 502, ""},
		"upgrade, to the next":        {nobody(t), "/", `,"others":"next"`, new(caddyhttp.Server), true, 418, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := at("alice.localhost", tt.path)
			r.Header.Set("Accept", "text/html")
			if tt.upgrade {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", "websocket")
			}
			w, _, err := send(handler(tt.upstream, tt.more), tt.server, r)
			var answer caddyhttp.HandlerError
			switch {
			case tt.page == "" && tt.status == http.StatusTeapot:
				if err != nil || w.Code != tt.status {
					t.Errorf("%d, %v", w.Code, err)
				}
			case tt.page == "":
				if !errors.As(err, &answer) || answer.StatusCode != tt.status || w.Body.Len() > 0 {
					t.Errorf("%d %q, %v", w.Code, w.Body, err)
				}
			case err != nil || w.Code != tt.status || !strings.Contains(w.Body.String(), tt.page) || w.Header().Get("Cache-Control") != "no-store":
				t.Errorf("%d %q, %v", w.Code, w.Body, err)
			}
		})
	}
}

// TestNoUpstreamToProxy: an instance without one is told so, and a host without an instance goes on.
func TestNoUpstreamToProxy(t *testing.T) {
	ctx, app := run(t, filepath.Join(t.TempDir(), "data"), fmt.Sprintf(`,"contexts":{"company":{"upstreams":[%q]}}`, nobody(t)))
	add(t, app, "alice.localhost", lifecycle.Change{})
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"unknown":"pass","proxy":{}}`)
	if w, _, err := send(h, new(caddyhttp.Server), at("alice.localhost", "/")); err != nil || w.Code != http.StatusBadGateway {
		t.Errorf("%d %v", w.Code, err)
	}
	if w, _, err := send(h, new(caddyhttp.Server), at("nobody.localhost", "/")); err != nil || w.Code != http.StatusTeapot {
		t.Errorf("%d %v", w.Code, err)
	}
}

// TestBodyTooLong: what a handler before says of a body is what the client is told.
func TestBodyTooLong(t *testing.T) {
	ctx, app := start(t)
	add(t, app, "alice.localhost", lifecycle.Change{})
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", fmt.Sprintf(`{"proxy":{"upstreams":[%q]}}`, mirror(t)))
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader(strings.Repeat("x", 100))))
	r.Host, r.ContentLength = "alice.localhost", -1
	r.Body = http.MaxBytesReader(nil, r.Body, 10)
	_, _, err := send(h, new(caddyhttp.Server), r)
	var answer caddyhttp.HandlerError
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Error(err)
	}
}

func TestBadProxies(t *testing.T) {
	refused(t, map[string]wrong{
		"unknown in proxy":     {site("proxy localhost:1 {\nbuffer 1\n}"), "unrecognized option 'buffer' (allowed: header_up, tls,"},
		"proxy twice":          {site("proxy localhost:1\nproxy localhost:2"), "proxy is given twice"},
		"header_up twice":      {site("proxy localhost:1 {\nheader_up A 1\nheader_up A 2\n}"), "header_up A is given twice"},
		"header_up with one":   {site("proxy localhost:1 {\nheader_up A\n}"), "wrong argument count"},
		"time of proxy":        {site("proxy localhost:1 {\ndial_timeout soon\n}"), "dial_timeout 'soon' is not a time above 0, as in 30s or 5m"},
		"time twice":           {site("proxy localhost:1 {\nmax_age 1m\nmax_age 2m\n}"), "max_age is given twice"},
		"number of proxy":      {site("proxy localhost:1 {\nmax_idle 0\n}"), "max_idle '0' is not a number from 1 on"},
		"tls with an argument": {site("proxy localhost:1 {\ntls on\n}"), "wrong argument count"},
	})
	ctx, _ := start(t)
	if _, err := ctx.LoadModuleByID("http.handlers.tenancy", []byte(`{"proxy":{"upstreams":["localhost:1"],"tls":{}}}`)); err != nil {
		t.Error(err)
	}
	for config, want := range map[string]string{
		`{"proxy":{}}`: "proxy: there is no upstream: neither given, nor of a context, nor of a cluster",
		`{"proxy":{"upstreams":["https://localhost:1"]}}`:                        "number 1 is a URL",
		`{"proxy":{"upstreams":["localhost:1"],"header_up":{"host":"x"}}}`:       "header_up: Host is not to be set",
		`{"proxy":{"upstreams":["localhost:1"],"header_up":{"A B":"x"}}}`:        "is not a field of HTTP",
		`{"proxy":{"upstreams":["localhost:1"],"header_up":{"A":"x\ny"}}}`:       "is not a field of HTTP",
		`{"proxy":{"upstreams":["localhost:1"],"others":"nobody"}}`:              `others: "nobody" is not known (allowed: reverse_proxy, next)`,
		`{"proxy":{"upstreams":["localhost:1"],"errors":"hide"}}`:                `errors: "hide" is not known (allowed: page, pass)`,
		`{"proxy":{"upstreams":["localhost:1"],"max_idle":-1}}`:                  "max_idle: is a number from 1 on",
		`{"proxy":{"upstreams":["localhost:1"],"dial_timeout":-1}}`:              "dial_timeout: is a time above 0",
		`{"proxy":{"upstreams":["localhost:1"],"tls":{"except_ports":["80"]}}}`:  "except_ports is not known here",
		`{"proxy":{"upstreams":["localhost:1"],"tls":{"server_name":1}}}`:        "",
		`{"proxy":{"upstreams":["localhost:1"],"tls":{"ca":{"provider":"no"}}}}`: "",
	} {
		if _, err := ctx.LoadModuleByID("http.handlers.tenancy", []byte(config)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}
