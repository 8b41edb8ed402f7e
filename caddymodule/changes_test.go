// What a configuration says about changes: hooks, contexts, clusters, onboarding.

package caddymodule_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// hookServer answers with a status; what it gets goes into the channel.
func hookServer(t *testing.T, status int) (url string, events <-chan lifecycle.Event) {
	t.Helper()
	ch := make(chan lifecycle.Event, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e lifecycle.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || !strings.HasPrefix(r.Header.Get("webhook-signature"), "v1,") {
			t.Errorf("%v, %v", err, r.Header)
		}
		ch <- e
		http.Error(w, "accounts are in use", status)
	}))
	t.Cleanup(s.Close)
	return s.URL, ch
}

func next(t *testing.T, events <-chan lifecycle.Event) lifecycle.Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
		return lifecycle.Event{}
	}
}

// counted is the value of a counter.
func counted(t *testing.T, ctx caddy.Context, name string, labels ...string) float64 {
	t.Helper()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetName()+"="+l.GetValue())
			}
			if strings.Join(got, " ") == strings.Join(labels, " ") {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Errorf("there is no %s%v", name, labels)
	return 0
}

func TestHooks(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_SECRET", "a-secret-of-twenty-four-bytes")
	no, refused := hookServer(t, http.StatusConflict)
	yes, told := hookServer(t, http.StatusOK)
	store := filepath.Join(t.TempDir(), "data")
	hooks := func(before, after string) string {
		return fmt.Sprintf(`,"hooks":{"before_destroy":%q,"after_add":%q,"secret":"{env.GATEHOUSE_TEST_SECRET}"}`, before, after)
	}
	ctx, app := run(t, store, hooks(no, yes))
	add(t, app, "alice.localhost", lifecycle.Change{ContextName: ptr("beta")})
	if e := next(t, told); e.Kind != lifecycle.AfterAdd || e.Domain != "alice.localhost" || e.Context != "beta" {
		t.Errorf("%+v", e)
	}
	err := app.Lifecycle().Destroy(t.Context(), "alice.localhost", nil)
	if !errors.Is(err, lifecycle.ErrRefused) || !strings.Contains(err.Error(), "the hook before_destroy refuses: 409: accounts are in use") {
		t.Errorf("%v", err)
	}
	if e := next(t, refused); e.Kind != lifecycle.BeforeDestroy || e.Domain != "alice.localhost" {
		t.Errorf("%+v", e)
	}
	if n := counted(t, ctx, "gatehouse_hook_deliveries_total", "kind=before_destroy", "outcome=refused"); n != 1 {
		t.Errorf("%v refused deliveries are counted", n)
	}
	if n := counted(t, ctx, "gatehouse_hook_deliveries_total", "kind=send_link", "outcome=delivered"); n != 0 {
		t.Errorf("%v deliveries of no link are counted", n)
	}

	// A reload has other receivers.
	_, app = reload(t, store, hooks(yes, no))
	if err := app.Lifecycle().Destroy(t.Context(), "alice.localhost", nil); err != nil {
		t.Error(err)
	}
	if e := next(t, told); e.Kind != lifecycle.BeforeDestroy {
		t.Errorf("%+v", e)
	}
	_, app = reload(t, store, "")
	add(t, app, "bob.localhost", lifecycle.Change{})
	if err := app.Lifecycle().Destroy(t.Context(), "bob.localhost", nil); err != nil {
		t.Errorf("without hooks: %v", err)
	}
}

// TestSettings looks for what a new instance is made of, before and after a reload.
func TestSettings(t *testing.T) {
	store := filepath.Join(t.TempDir(), "data")
	_, app := run(t, store, `,"contexts":{"default":{"locale":"fr","disk_quota":3000000000},"big":{"disk_quota":5000000000}}`)
	for context, want := range map[string]int64{"": 3e9, "other": 3e9, "big": 5e9} {
		inst := add(t, app, "a"+context+".localhost", lifecycle.Change{ContextName: ptr(context)})
		if inst.Locale() != "fr" || inst.DiskQuota() != want {
			t.Errorf("context %q: locale %s, quota %d", context, inst.Locale(), inst.DiskQuota())
		}
	}
	_, app = reload(t, store, `,"contexts":{"default":{"locale":"de"}}`)
	if inst := add(t, app, "b.localhost", lifecycle.Change{}); inst.Locale() != "de" || inst.DiskQuota() != 0 {
		t.Errorf("after a reload: locale %s, quota %d", inst.Locale(), inst.DiskQuota())
	}
	_, app = reload(t, store, `,"clusters":[{"index":0,"capacity":1}]`)
	var full error
	for i := range 3 {
		domain, err := tenancy.ParseDomain(fmt.Sprintf("c%d.localhost", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := app.Lifecycle().Add(t.Context(), domain, lifecycle.Change{}, nil); err != nil {
			full = err
		}
	}
	if !errors.Is(full, tenancy.ErrConflict) {
		t.Errorf("a cluster beyond its capacity: %v", full)
	}
}

func TestOnboarding(t *testing.T) {
	ctx, app := run(t, filepath.Join(t.TempDir(), "data"), `,"contexts":{"default":{"support":"help@example.com"}}`)
	page := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"onboarding":"page"}`)
	pass := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.tenancy", `{"onboarding":"pass"}`)
	inst := add(t, app, "alice.localhost", lifecycle.Change{})
	link := "/?registerToken=" + hex.EncodeToString(inst.Bytes("register_token"))
	for path, want := range map[string]int{link: http.StatusOK, "/": 0, "/?registerToken=00": 0} {
		w, reached, _ := askPath(t, page, http.MethodGet, "alice.localhost", path, asHTML)
		if reached != nil || want != 0 && w.Code != want || want == 0 && w.Code == http.StatusOK {
			t.Errorf("%.20s: %d, through %t", path, w.Code, reached != nil)
		}
		if _, reached, _ := askPath(t, pass, http.MethodGet, "alice.localhost", path, asHTML); reached == nil {
			t.Errorf("%.20s: not through with `onboarding pass`", path)
		}
	}
	if _, err := app.Lifecycle().SetPassphrase(t.Context(), "alice.localhost", lifecycle.Passphrase{Text: "correct horse battery staple"}); err != nil {
		t.Fatal(err)
	}
	if _, reached, _ := askPath(t, page, http.MethodGet, "alice.localhost", "/", asHTML); reached == nil {
		t.Error("an owner who has a password does not get through")
	}
	if n := counted(t, ctx, "gatehouse_requests_total", "verdict=refuse"); n != 3 {
		t.Errorf("%v refusals are counted", n)
	}
	if _, reached, _ := askPath(t, page, http.MethodGet, "nobody.localhost", link, asHTML); reached != nil {
		t.Error("a host of nobody has come through")
	}
}
