// What the tests share: a Caddy that runs without listening, and requests to it.

package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-edge/gatehouse/caddymodule"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// start runs Caddy with the tenancy app alone, on a store of the test.
func start(t *testing.T) (caddy.Context, *caddymodule.App) {
	t.Helper()
	return run(t, filepath.Join(t.TempDir(), "data"), "")
}

// run runs Caddy with the tenancy app on a store; more is further JSON of the app,
// which begins with a comma. It ends with the test.
func run(t *testing.T, store, more string) (caddy.Context, *caddymodule.App) {
	t.Helper()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return reload(t, store, more)
}

// reload runs Caddy with another configuration.
func reload(t *testing.T, store, more string) (caddy.Context, *caddymodule.App) {
	t.Helper()
	config := fmt.Sprintf(`{"store":{"driver":"embedded","path":%q},"snapshot":"off"%s}`, store, more)
	off := false
	err := caddy.Run(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		Logging: quiet,
		AppsRaw: caddy.ModuleMap{"tenancy": json.RawMessage(config)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := caddy.ActiveContext()
	app, err := ctx.App("tenancy")
	if err != nil {
		t.Fatal(err)
	}
	return ctx, app.(*caddymodule.App)
}

func add(t testing.TB, app *caddymodule.App, name string, change lifecycle.Change) *tenancy.Instance {
	t.Helper()
	domain, err := tenancy.ParseDomain(name)
	if err != nil {
		t.Fatal(err)
	}
	added, err := app.Lifecycle().Add(t.Context(), domain, change, nil)
	if err != nil {
		t.Fatal(err)
	}
	return added.Instance
}

func modify(t *testing.T, app *caddymodule.App, name string, change lifecycle.Change) {
	t.Helper()
	if _, err := app.Lifecycle().Modify(t.Context(), name, change); err != nil {
		t.Fatal(err)
	}
}

// load makes a module as a configuration would.
func load[T any](t *testing.T, ctx caddy.Context, id, config string) T {
	t.Helper()
	module, err := ctx.LoadModuleByID(id, json.RawMessage(config))
	if err != nil {
		t.Fatal(err)
	}
	return module.(T)
}

// ask sends a request through the handler. reached tells whether the next one
// has got it, and as what.
func ask(t *testing.T, h caddyhttp.MiddlewareHandler, host string, header http.Header) (w *httptest.ResponseRecorder, reached *http.Request, repl *caddy.Replacer) {
	t.Helper()
	return askPath(t, h, http.MethodGet, host, "/path?a=b", header)
}

// askPath is ask for a path as it stands in the request's first line.
func askPath(t *testing.T, h caddyhttp.MiddlewareHandler, method, host, path string, header http.Header) (w *httptest.ResponseRecorder, reached *http.Request, repl *caddy.Replacer) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	for name, values := range header {
		r.Header[name] = values // as it came, not made canonical
	}
	repl = caddy.NewReplacer()
	w = httptest.NewRecorder()
	r = caddyhttp.PrepareRequest(r, repl, w, new(caddyhttp.Server))
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		reached = r
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return w, reached, repl
}

func ptr[T any](v T) *T { return &v }
