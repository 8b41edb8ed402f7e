// One front door before two stacks: which of them a request goes to, and what a stack
// answers although an instance is blocked.

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// stack is an upstream that says what has come to it.
func stack(t testing.TB, name string) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "stack=%s host=%s domain=%s slug=%s forged=%s uri=%s",
			name, r.Host, r.Header.Get("X-Gatehouse-Domain"), r.Header.Get("X-Gatehouse-Slug"), r.Header.Get("X-Gatehouse-Forged"), r.URL.RequestURI())
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

const dynamic = `reverse_proxy {
		dynamic tenancy {
			%s
		}
		header_up X-Gatehouse-Domain {http.tenancy.domain}
		header_up X-Gatehouse-Slug {http.tenancy.slug}
	}`

func TestUpstreams(t *testing.T) {
	t.Parallel()
	d := newDoor(t, fmt.Sprintf(`store embedded ./data
		context company {
			upstream %s
			support help@company.example
		}`, stack(t, "b")))
	d.proxy = fmt.Sprintf(dynamic, "default "+stack(t, "a"))
	const handler = "stack cozy\n\t\tpass_hosts login.localhost *.idp.localhost"
	d.configure(handler)
	d.startReady()
	d.add("alice.localhost", params{"Locale": "en"})
	d.add("bob.localhost", params{"ContextName": "company", "Locale": "en"})

	t.Run("routes", func(t *testing.T) { upstreamRoutes(t, d.in(t)) })
	t.Run("blocked", func(t *testing.T) { stackBlocked(t, d.in(t)) })
	t.Run("moving", func(t *testing.T) { stackMoving(t, d.in(t)) })
	t.Run("deleting", func(t *testing.T) { stackDeleting(t, d.in(t)) })

	d.proxy = fmt.Sprintf(dynamic, "")
	d.configure(handler)
	d.reload(0)
	for host, status := range map[string]int{"alice.localhost": 502, "login.localhost": 502, "bob.localhost": 200} {
		if a := d.mustGet(host, "/"); a.status != status {
			t.Errorf("without a default %s answers %d %s", host, a.status, a.body)
		}
	}
}

// goes checks what came to which stack.
func (d *door) goes(host, path, want string, headers ...string) {
	d.t.Helper()
	a := d.mustGet(host, path, headers...)
	if a.status != http.StatusOK || a.body != want+" uri="+path {
		d.t.Errorf("%s%s: %d %q, want %q", host, path, a.status, a.body, want)
	}
}

func upstreamRoutes(t *testing.T, d *door) {
	forged := []string{"X-Gatehouse-Forged", "yes", "X-Gatehouse-Domain", "evil", "X_Gatehouse_Slug", "evil"}
	d.goes("alice.localhost", "/x?y=z", "stack=a host=alice.localhost domain=alice.localhost slug= forged=", forged...)
	d.goes("drive.bob.localhost", "/x", "stack=b host=drive.bob.localhost domain=bob.localhost slug=drive forged=", forged...)
	d.goes("login.localhost", "/oidc", "stack=a host=login.localhost domain= slug= forged=", forged...)
	d.goes("one.idp.localhost", "/oidc", "stack=a host=one.idp.localhost domain= slug= forged=")
	for _, host := range []string{"idp.localhost", "two.one.idp.localhost", "x.login.localhost", "nobody.localhost"} {
		if a := d.mustGet(host, "/oidc"); a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", host, a.status, a.body)
		}
	}
	d.modify("alice.localhost", params{"ContextName": "company"})
	d.goes("alice.localhost", "/x", "stack=b host=alice.localhost domain=alice.localhost slug= forged=")
	d.modify("alice.localhost", params{"Settings": "context:"})
	d.goes("alice.localhost", "/x", "stack=a host=alice.localhost domain=alice.localhost slug= forged=")
}

func stackBlocked(t *testing.T, d *door) {
	d.modify("bob.localhost", params{"Blocked": true, "BlockingReason": "PAYMENT_FAILED"})
	for _, path := range []string{"/assets/app.css", "/settings/instance", "/robots.txt"} {
		d.goes("bob.localhost", path, "stack=b host=bob.localhost domain=bob.localhost slug= forged=")
	}
	for _, path := range []string{"/", "/data/io.cozy.files", "/settings", "/settings/../data/x", "/settings/%2e%2e/data/x", "/assets//x", "/move/importing"} {
		isCode(t, path, d.mustGet("bob.localhost", path, "Accept", jsonType, "Authorization", "Bearer x"), 402, "PAYMENT_FAILED")
	}
	isCode(t, "an app", d.mustGet("drive.bob.localhost", "/assets/app.css", "Accept", jsonType), 402, "PAYMENT_FAILED")
	if a := d.mustGet("bob.localhost", "/", "Accept", "text/html"); !strings.Contains(a.body, "help@company.example") {
		t.Errorf("the context's support is not on the page\n%s", a.body)
	}
}

func stackMoving(t *testing.T, d *door) {
	d.modify("bob.localhost", params{"Blocked": true, "BlockingReason": "MOVING"})
	if a := d.mustGet("bob.localhost", "/", "Accept", "text/html"); a.status != http.StatusFound || a.header.Get("Location") != "https://bob.localhost/move/importing" && a.header.Get("Location") != "/move/importing" {
		t.Errorf("a visitor gets %d %v", a.status, a.header)
	}
	isCode(t, "a program", d.mustGet("bob.localhost", "/", "Accept", jsonType), 503, "MOVING")
	d.goes("bob.localhost", "/move/importing", "stack=b host=bob.localhost domain=bob.localhost slug= forged=")
	d.modify("bob.localhost", params{"Blocked": false})
}

func stackDeleting(t *testing.T, d *door) {
	d.modify("bob.localhost", params{"Deleting": true})
	d.goes("bob.localhost", "/data/io.cozy.accounts/1", "stack=b host=bob.localhost domain=bob.localhost slug= forged=", "Authorization", "Bearer token")
	for path, headers := range map[string][]string{
		"/data/io.cozy.accounts/1": {"Accept", jsonType},
		"/jobs/queue":              {"Accept", jsonType, "Authorization", "Basic eDp5"},
		"/":                        {"Accept", jsonType, "Authorization", "Bearer token"},
		"/assets/app.css":          {"Accept", jsonType, "Authorization", "Bearer token"},
	} {
		isCode(t, path, d.mustGet("bob.localhost", path, headers...), 410, "DELETING")
	}
	d.modify("bob.localhost", params{"Deleting": false})
	d.goes("bob.localhost", "/", "stack=b host=bob.localhost domain=bob.localhost slug= forged=")
}
