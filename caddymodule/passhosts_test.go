// Hosts that are the upstream's, and whose pages an instance's are.

package caddymodule_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func TestPassHosts(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_HOST", "from-env.example.com")
	ctx, app := start(t)
	add(t, app, "alice.example.com", lifecycle.Change{})
	add(t, app, "blocked.example.com", lifecycle.Change{})
	modify(t, app, "blocked.example.com", lifecycle.Change{Blocked: ptr(true)})
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy",
		`{"pass_hosts":["Login.Example.com","*.idp.example.com","élise.example.org","ported.example.com:8443","*.ported.example.org:8443","blocked.example.com","{env.GATEHOUSE_TEST_HOST}"]}`)
	for host, want := range map[string]bool{
		"login.example.com": true, "LOGIN.example.com.": true, "login.example.com:8080": true,
		"a.idp.example.com": true, "A.IDP.example.com:443": true,
		"élise.example.org": true, "xn--lise-9oa.example.org": true, "ÉLISE.example.org": true,
		"ported.example.com:8443": true, "a.ported.example.org:8443": true, "from-env.example.com": true,
		"blocked.example.com": true, // they go before instances
		"x.login.example.com": false, "idp.example.com": false, "a.b.idp.example.com": false, ".idp.example.com": false,
		"ported.example.com": false, "ported.example.com:443": false, "a.ported.example.org": false,
		"login.example.com.evil.org": false, "*.idp.example.com": true, "": false, "login example.com": false, "login.example.com:x": false,
	} {
		w, reached, repl := ask(t, h, host, http.Header{"X-Gatehouse-Domain": {"alice.example.com"}})
		if (reached != nil) != want {
			t.Errorf("%q: passed %t, want %t (%d)", host, reached != nil, want, w.Code)
		}
		if reached == nil {
			continue
		}
		if len(reached.Header) != 0 {
			t.Errorf("%q: headers %v", host, reached.Header)
		}
		if got, ok := repl.GetString("http.tenancy.domain"); !ok || got != "" {
			t.Errorf("%q: {http.tenancy.domain} is %q, %t", host, got, ok)
		}
	}
	if _, reached, repl := ask(t, h, "alice.example.com", nil); reached == nil {
		t.Error("an instance does not serve any more")
	} else if got, _ := repl.GetString("http.tenancy.domain"); got != "alice.example.com" {
		t.Errorf("{http.tenancy.domain} is %q", got)
	}
}

// TestContextPages asks for the pages of instances of several contexts.
func TestContextPages(t *testing.T) {
	ctx, app := run(t, filepath.Join(t.TempDir(), "data"), `,"contexts":{
		"default":{"support":"default@example.com"},
		"company":{"support":"company@example.com","pages":"testdata/pages"},
		"pages":{"pages":"testdata/pages"}
	}`)
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"support":"handler@example.com"}`)
	for context, want := range map[string]struct {
		support string
		custom  bool
	}{
		"": {"default@example.com", false}, "default": {"default@example.com", false}, "other": {"default@example.com", false},
		"company": {"company@example.com", true}, "pages": {"default@example.com", true},
	} {
		host := "of-" + context + "x.localhost"
		add(t, app, host, lifecycle.Change{ContextName: ptr(context)})
		modify(t, app, host, lifecycle.Change{Blocked: ptr(true)})
		w, _, _ := ask(t, h, host, asHTML)
		if body := w.Body.String(); !strings.Contains(body, want.support) || strings.Contains(body, "a page of our own") != want.custom {
			t.Errorf("context %q: want %+v, is\n%s", context, want, body)
		}
	}
	if w, _, _ := ask(t, h, "nobody.localhost", asHTML); !strings.Contains(w.Body.String(), "handler@example.com") {
		t.Errorf("no instance: %s", w.Body)
	}
}
