// Module: the API as Caddy loads it.

package admin

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func init() { caddy.RegisterModule(Instances{}) }

// App is what the API needs of the tenancy app of a configuration. One that has
// Tokens, Listening, Living, Certified or CertifiedApps as well offers more.
type App interface {
	Lifecycle() *lifecycle.Service
	Directory() *directory.Directory
	Mode() directory.Mode
	StoreName() string
	Node() string
	// AuthRequired tells whether a passphrase is asked for, and
	// AdminPassphraseHash is the bcrypt hash that it is held against.
	AuthRequired() bool
	AdminPassphraseHash() string
	// Hold keeps the store open until release is called.
	Hold() (release func())
}

// Instances is the module `admin.api.instances`: it adds /instances and /tenancy
// to Caddy's admin endpoint.
type Instances struct {
	handler http.Handler
}

// CaddyModule returns the Caddy module information.
func (Instances) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.instances", New: func() caddy.Module { return new(Instances) }}
}

// Provision makes the handler. The admin endpoint comes before the apps, so it
// asks for none.
func (i *Instances) Provision(ctx caddy.Context) error {
	i.handler = NewHandler(activeApp, ctx.Logger())
	return nil
}

// Routes implements caddy.AdminRouter.
func (i *Instances) Routes() []caddy.AdminRoute {
	handler := caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		i.handler.ServeHTTP(w, r)
		return nil
	})
	routes := make([]caddy.AdminRoute, 0, 3)
	for _, pattern := range []string{"/instances", "/instances/", "/tenancy/"} {
		routes = append(routes, caddy.AdminRoute{Pattern: pattern, Handler: handler})
	}
	return routes
}

// activeApp is the tenancy app of the configuration that runs now; nil where
// there is none.
func activeApp() App {
	loaded, err := caddy.ActiveContext().AppIfConfigured("tenancy")
	if err != nil {
		return nil
	}
	app, ok := loaded.(App)
	if !ok {
		return nil
	}
	return app
}

// Interface guards
var (
	_ caddy.Provisioner = (*Instances)(nil)
	_ caddy.AdminRouter = (*Instances)(nil)
)
