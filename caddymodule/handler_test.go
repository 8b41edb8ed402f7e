// The handler, in a Caddy that runs without listening.

package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func TestHandler(t *testing.T) {
	ctx, app := start(t)
	add(t, app, "alice.localhost", lifecycle.Change{
		Locale: ptr("fr"), ContextName: ptr("beta"), UUID: ptr("6f1d0b0e-1111-4a4a-8a8a-0123456789ab"),
		OldDomain: ptr("anna.localhost"),
	})
	h := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"support":"help@example.com"}`)

	t.Run("identity is stripped", func(t *testing.T) {
		forged := http.Header{
			"X-Gatehouse-Domain": {"evil"}, "x-gatehouse-prefix": {"evil"}, "X_Gatehouse_Slug": {"evil"},
			"x.gatehouse-Context": {"evil"}, "X-GATEHOUSE-": {"evil"}, "X-Gatehouse-Domain ": {"evil", "evil"},
			"X-Gatehous": {"kept"}, "X-Gatehouse": {"kept"}, "My-X-Gatehouse-Domain": {"kept"}, "Cookie": {"kept"},
		}
		_, reached, _ := ask(t, h, "alice.localhost", forged)
		if reached == nil {
			t.Fatal("the request has not come through")
		}
		kept := 0
		for name, values := range reached.Header {
			if values[0] != "kept" {
				t.Errorf("%q has come through", name)
			}
			kept++
		}
		if kept != 4 {
			t.Errorf("%d headers are left: %v", kept, reached.Header)
		}
	})

	t.Run("placeholders", func(t *testing.T) {
		_, _, repl := ask(t, h, "Drive.Alice.localhost:8080", nil)
		for name, want := range map[string]string{
			"domain": "alice.localhost", "host": "alice.localhost", "slug": "drive", "context": "beta", "locale": "fr",
			"uuid": "6f1d0b0e-1111-4a4a-8a8a-0123456789ab", "cluster": "0", "state": "active",
			"prefix": "cozy96262a67eb347adbb098088822c991f5", // of the SHA-256 of alice.localhost
		} {
			if got, ok := repl.GetString("http.tenancy." + name); !ok || got != want {
				t.Errorf("{http.tenancy.%s} is %q, %t; want %q", name, got, ok, want)
			}
		}
		if _, ok := repl.GetString("http.tenancy.nothing"); ok {
			t.Error("a placeholder that does not exist is known")
		}
	})

	t.Run("old domain", func(t *testing.T) {
		w, reached, _ := ask(t, h, "anna.localhost", nil)
		if reached != nil || w.Code != http.StatusPermanentRedirect || w.Header().Get("Location") != "http://alice.localhost/path?a=b" {
			t.Errorf("%d %v, reached %v", w.Code, w.Header(), reached != nil)
		}
	})

	t.Run("unknown", func(t *testing.T) {
		w, reached, _ := ask(t, h, "nobody.localhost", nil)
		if reached != nil || w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "help@example.com") {
			t.Errorf("%d, reached %v: %s", w.Code, reached != nil, w.Body)
		}
		pass := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"unknown":"pass"}`)
		_, reached, repl := ask(t, pass, "nobody.localhost", http.Header{"X-Gatehouse-Domain": {"alice.localhost"}})
		if reached == nil || len(reached.Header) != 0 {
			t.Fatalf("passed on: %v", reached)
		}
		for _, name := range []string{"domain", "prefix", "state"} {
			if got, ok := repl.GetString("http.tenancy." + name); !ok || got != "" {
				t.Errorf("{http.tenancy.%s} of no instance is %q, %t", name, got, ok)
			}
		}
	})

	t.Run("blocked", func(t *testing.T) {
		modify(t, app, "alice.localhost", lifecycle.Change{Blocked: ptr(true), BlockingReason: ptr("PAYMENT_FAILED")})
		pass := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"unknown":"pass"}`)
		for _, host := range []string{"alice.localhost", "drive.alice.localhost", "anna.localhost"} {
			w, reached, _ := ask(t, pass, host, http.Header{"Accept": {"application/json"}})
			if reached != nil || w.Code != http.StatusPaymentRequired || !strings.Contains(w.Body.String(), `"code":"PAYMENT_FAILED"`) {
				t.Errorf("%s: %d, reached %v: %s", host, w.Code, reached != nil, w.Body)
			}
		}
	})
}
