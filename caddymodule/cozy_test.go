// Requests that a cozy-stack answers although its instance does not serve.

package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

var (
	asHTML   = http.Header{"Accept": {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}}
	asJSON   = http.Header{"Accept": {"application/json"}}
	asBearer = http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer abc"}}
)

func TestCozyBlocked(t *testing.T) {
	ctx, app := start(t)
	cozy := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"stack":"cozy"}`)
	plain := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{}`)
	for name, reason := range map[string]tenancy.Reason{
		"paid": tenancy.ReasonPaymentFailed, "login": tenancy.ReasonLoginFailed, "unknown": "", "words": "closed for the summer",
		"importing": tenancy.ReasonImporting, "moving": tenancy.ReasonMoving, "half": tenancy.ReasonDeletionFailed,
	} {
		host := name + ".localhost"
		add(t, app, host, lifecycle.Change{OldDomain: ptr("old-" + host)})
		modify(t, app, host, lifecycle.Change{Blocked: ptr(true), BlockingReason: ptr(string(reason))})
		move := reason == tenancy.ReasonImporting || reason == tenancy.ReasonMoving
		for path, want := range map[string]bool{
			"/assets/fonts/a.woff2": true, "/assets/": true, "/robots.txt": true, "/settings/": true,
			"/settings/passphrase?x=1": true, "/settings/a%20b": true, "/settings/caf%C3%A9": true, "/settings/a:b": true, "/settings/a%3Ab": true,
			"/move/importing": move, "/move/": move, "/move/a/b": move,
			// what is not on the list
			"/": false, "/assets": false, "/settings": false, "/move": false, "/auth/login": false, "/Settings/": false,
			"/robots.txt/": false, "/robots.txt.html": false, "/x/settings/": false, "/data/io.cozy.files/x": false, "/settingsx/": false,
			// what a server may take for something else than it begins with
			"//settings/": false, "/settings//x": false, "/settings/../data/": false, "/settings/./x": false, "/settings/..": false,
			"/settings/%2e%2e/data/": false, "/settings/%2E./data/": false, "/settings/.%2e/data/": false,
			"/settings%2fx": false, "/settings/%2f../data/": false, "/settings/a%2Fb": false, `/settings/..\data/`: false,
			"/settings/%5c..%5cdata": false, "/settings/%252e%252e/data/": false, "/settings/..;/data/": false, "/settings/a;b": false,
			"/settings/a%3bb": false, "/settings/a%00b": false, "/settings/a%0d%0ab": false, "/settings/%7f": false, "/settings/%c0%ae%c0%ae%c0%afx": false,
			"/%73ettings/": false, "/settings/../settings/": false, "/./settings/": false, "/robots%2etxt": false, "/data/../settings/": false,
		} {
			w, reached, repl := askPath(t, cozy, http.MethodGet, host, path, asJSON)
			if want = want && reason != tenancy.ReasonDeletionFailed; (reached != nil) != want {
				t.Errorf("%s%s: through %t, want %t (%d)", host, path, reached != nil, want, w.Code)
			}
			robots := strings.HasPrefix(path, "/robots") && w.Code == http.StatusOK // ours, for crawlers
			if reached == nil && !robots && w.Code != http.StatusPaymentRequired && w.Code != http.StatusServiceUnavailable {
				t.Errorf("%s%s: %d", host, path, w.Code)
			}
			if got, _ := repl.GetString("http.tenancy.state"); reached != nil && got != "blocked" {
				t.Errorf("%s%s: {http.tenancy.state} is %q", host, path, got)
			}
			for _, other := range []string{"drive." + host, "old-" + host} {
				if _, reached, _ := askPath(t, cozy, http.MethodGet, other, path, asJSON); reached != nil {
					t.Errorf("%s%s has come through", other, path)
				}
			}
			if _, reached, _ := askPath(t, plain, http.MethodGet, host, path, asJSON); reached != nil {
				t.Errorf("%s%s has come through without `stack cozy`", host, path)
			}
		}
	}
}

func TestCozyImporting(t *testing.T) {
	ctx, app := start(t)
	cozy := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"stack":"cozy"}`)
	plain := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{}`)
	const own, absolute = "/move/importing", "http://importing.localhost:8080/move/importing"
	for _, reason := range []tenancy.Reason{tenancy.ReasonImporting, tenancy.ReasonMoving} {
		name := strings.ToLower(string(reason)) + ".localhost"
		add(t, app, name, lifecycle.Change{OldDomain: ptr("old-" + name), Aliases: &[]string{"alias-" + name}})
		modify(t, app, name, lifecycle.Change{Blocked: ptr(true), BlockingReason: ptr(string(reason))})
	}
	websocket := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
	for name, c := range map[string]struct {
		host, path string
		header     http.Header
		want       string // where it is sent; empty for a refusal
	}{
		"a browser":          {"importing.localhost", "/", asHTML, own},
		"on the move":        {"moving.localhost", "/auth/login", asHTML, own},
		"no preference":      {"importing.localhost", "/x?y", nil, own},
		"by an alias":        {"alias-importing.localhost", "/", asHTML, own},
		"an app":             {"drive.importing.localhost:8080", "/", asHTML, absolute},
		"an old domain":      {"old-importing.localhost:8080", "/", asHTML, absolute},
		"an ambiguous path":  {"importing.localhost", "/move/../x", asHTML, own},
		"a program":          {"importing.localhost", "/", asJSON, ""},
		"a program with any": {"importing.localhost", "/", http.Header{"Accept": {"application/json, text/plain, */*"}}, ""},
		"a WebSocket":        {"importing.localhost", "/", websocket, ""},
		"gRPC":               {"importing.localhost", "/", http.Header{"Content-Type": {"application/grpc"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			method := http.MethodGet
			if name == "gRPC" {
				method = http.MethodPost
			}
			w, reached, _ := askPath(t, cozy, method, c.host, c.path, c.header)
			if reached != nil || w.Header().Get("Location") != c.want || (w.Code == http.StatusFound) != (c.want != "") {
				t.Errorf("%d to %q, through %t; want %q", w.Code, w.Header().Get("Location"), reached != nil, c.want)
			}
			if w.Header().Get("Cache-Control") != "no-store" || c.want != "" && w.Header().Get("Retry-After") != "" {
				t.Errorf("headers %v", w.Header())
			}
			w, _, _ = askPath(t, plain, method, c.host, c.path, c.header)
			if w.Code == http.StatusFound {
				t.Error("sent there without `stack cozy`")
			}
		})
	}
	if w, reached, _ := askPath(t, cozy, http.MethodGet, "drive.importing.localhost", "/robots.txt", asHTML); reached != nil || w.Code != http.StatusOK {
		t.Errorf("robots.txt of an app: %d, through %t", w.Code, reached != nil)
	}
}

func TestCozyDeleting(t *testing.T) {
	ctx, app := start(t)
	cozy := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"stack":"cozy"}`)
	plain := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{}`)
	add(t, app, "leaving.localhost", lifecycle.Change{})
	// Deleting goes before a block.
	modify(t, app, "leaving.localhost", lifecycle.Change{Blocked: ptr(true), BlockingReason: ptr("IMPORTING")})
	modify(t, app, "leaving.localhost", lifecycle.Change{Deleting: ptr(true)})
	for path, want := range map[string]bool{
		"/data/io.cozy.accounts/abc": true, "/files/": true, "/accounts/x": true, "/jobs/x": true, "/konnectors/x": true,
		"/permissions/self": true, "/realtime/": true, "/data/io.cozy.files/a%3Ab?rev=1-a": true,
		"/data": false, "/": false, "/settings/": false, "/assets/x": false, "/move/importing": false, "/apps/": false, "/auth/login": false,
		"/data/../settings/": false, "/data//x": false, "/data/%2e%2e/x": false, "/data/a%2fb": false,
	} {
		if w, reached, repl := askPath(t, cozy, http.MethodDelete, "leaving.localhost", path, asBearer); (reached != nil) != want || reached == nil && w.Code != http.StatusGone {
			t.Errorf("%s: through %t, want %t (%d)", path, reached != nil, want, w.Code)
		} else if got, _ := repl.GetString("http.tenancy.state"); reached != nil && got != "deleting" {
			t.Errorf("%s: {http.tenancy.state} is %q", path, got)
		}
		for name, refused := range map[string]http.Header{
			"no token": nil, "an empty token": {"Authorization": {"Bearer "}}, "no token at all": {"Authorization": {"Bearer"}},
			"another scheme": {"Authorization": {"Basic YTpi"}}, "two": {"Authorization": {"Bearer a", "Bearer b"}}, "in the query": {"X-Authorization": {"Bearer a"}},
		} {
			if _, reached, _ := askPath(t, cozy, http.MethodGet, "leaving.localhost", path, refused); reached != nil {
				t.Errorf("%s has come through with %s", path, name)
			}
		}
		if _, reached, _ := askPath(t, cozy, http.MethodGet, "drive.leaving.localhost", path, asBearer); reached != nil {
			t.Errorf("%s of an app has come through", path)
		}
		if _, reached, _ := askPath(t, plain, http.MethodGet, "leaving.localhost", path, asBearer); reached != nil {
			t.Errorf("%s has come through without `stack cozy`", path)
		}
	}
	if _, reached, _ := askPath(t, cozy, http.MethodGet, "leaving.localhost", "/data/x", http.Header{"Authorization": {"bearer  abc"}}); reached == nil {
		t.Error("a scheme's name is in any case")
	}
}
