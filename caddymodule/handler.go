// Handler: the way of a request.

package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

func init() { caddy.RegisterModule(Handler{}) }

// Handler finds the instance behind a request's Host. The requests of an
// instance that serves go on to the next handler, with placeholders:
//
// Placeholder | Description
// ------------|------------
// `{http.tenancy.domain}` | The instance's domain, in Unicode form, with its port
// `{http.tenancy.host}` | The instance's domain in A-labels, without a port
// `{http.tenancy.slug}` | The app's slug in the host, or empty
// `{http.tenancy.prefix}` | The prefix of the instance's databases
// `{http.tenancy.context}` | The instance's context
// `{http.tenancy.locale}` | The instance's locale
// `{http.tenancy.uuid}` | The instance's UUID
// `{http.tenancy.cluster}` | The index of the CouchDB cluster with its databases
// `{http.tenancy.state}` | active, blocked or deleting
//
// All others are answered here: a page with the reason for an instance that is
// blocked, being deleted or unknown, and a redirect for an old domain. A request on a
// TLS connection that was made for another instance is sent to a new one (421). Support
// and Pages are for instances whose context has none of its own. Request
// headers that begin with X-Gatehouse- are removed, so that a client cannot
// pretend to be what the placeholders say.
type Handler struct {
	// An e-mail address or an https URL that the pages show.
	Support string `json:"support,omitempty"`

	// A folder with templates, locales or a stylesheet that replace the built-in ones.
	Pages string `json:"pages,omitempty"`

	// What happens to a host that belongs to no instance: "page" or "pass", to the
	// next handler. Default: page.
	Unknown string `json:"unknown,omitempty"`

	// What is behind: "cozy" for a cozy-stack. The paths that a stack answers for a
	// blocked instance then go to it, as does its API while the instance is being
	// deleted, and visitors of one that is being imported or moved are sent to its
	// page on that. Default: nothing is known of it, and all is refused.
	Stack string `json:"stack,omitempty"`

	// Hosts that belong to no instance and go to the next handler, such as that of
	// a login page: login.example.com, or *.idp.example.com for one label more. They
	// go before instances, whatever an instance's domain is.
	PassHosts []string `json:"pass_hosts,omitempty"`

	// What happens to an instance whose owner has not chosen a password yet: "pass",
	// to the next handler, or "page", on which it is chosen. Default: pass.
	Onboarding string `json:"onboarding,omitempty"`

	// Has the handler send the requests of instances to their upstreams itself. Default:
	// they go to the next handler.
	Proxy *Proxy `json:"proxy,omitempty"`

	app       *App
	passHosts passHosts
	own       *site            // for hosts of no instance
	fallback  *site            // for instances whose context is not configured
	sites     map[string]*site // by context
	logger    *zap.Logger
}

// Values of the handler's options.
const (
	UnknownPage    = "page"
	UnknownPass    = "pass"
	StackCozy      = "cozy"
	OnboardingPass = "pass"
	OnboardingPage = "page"
)

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.tenancy", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the app and reads the templates.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	app, err := ctx.App("tenancy")
	if err != nil {
		return err
	}
	h.app = app.(*App)
	repl := caddy.NewReplacer()
	h.Support = repl.ReplaceAll(h.Support, "")
	if err := pages.CheckSupport(h.Support); err != nil {
		return fmt.Errorf("support: %w", err)
	}
	if h.Unknown == "" {
		h.Unknown = UnknownPage
	}
	if h.Onboarding == "" {
		h.Onboarding = OnboardingPass
	}
	if h.passHosts, err = parsePassHosts(h.PassHosts); err != nil {
		return err
	}
	set, err := pages.New(repl.ReplaceAll(h.Pages, ""))
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	if h.Proxy != nil {
		if err := h.Proxy.provision(ctx, h.app); err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
	}
	return h.provisionSites(site{support: h.Support, pages: set})
}

// Validate refuses what only a person can put right.
func (h *Handler) Validate() error {
	if h.Unknown != UnknownPage && h.Unknown != UnknownPass {
		return fmt.Errorf("unknown: %q is not known (allowed: page, pass)", h.Unknown)
	}
	if h.Stack != "" && h.Stack != StackCozy {
		return fmt.Errorf("stack: %q is not known (allowed: cozy)", h.Stack)
	}
	if h.Onboarding != OnboardingPass && h.Onboarding != OnboardingPage {
		return fmt.Errorf("onboarding: %q is not known (allowed: pass, page)", h.Onboarding)
	}
	if h.Proxy != nil {
		if err := h.Proxy.validate(); err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
	}
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	stripIdentity(r.Header)
	passed := h.passHosts.has(r.Host)
	var v directory.Verdict
	if !passed {
		v = h.app.runtime.dir.Decide(r.Host, h.app.mode)
	}
	switch {
	case h.misdirected(r, v.Match.Entry):
		h.app.metrics.requests[directory.Refuse].Inc()
		h.refuse(w, r, misdirection)
		return nil
	case passed:
		h.app.metrics.passed.Inc()
		return h.goOn(w, r, directory.Match{}, next)
	case v.Kind == directory.Serve:
		if h.Onboarding == OnboardingPage && h.onboards(w, r, v.Match) {
			h.app.metrics.requests[directory.Refuse].Inc()
			return nil
		}
		h.app.metrics.requests[directory.Serve].Inc()
		return h.goOn(w, r, v.Match, next)
	case v.Kind == directory.Redirect:
		h.app.metrics.requests[directory.Redirect].Inc()
		redirect(w, r, v)
		return nil
	case v.Code == tenancy.CodeNotFound && h.Unknown == UnknownPass:
		h.app.metrics.passed.Inc()
		return h.goOn(w, r, directory.Match{}, next)
	case h.Stack == StackCozy && letsThrough(r, v):
		h.app.metrics.requests[directory.Serve].Inc()
		return h.goOn(w, r, v.Match, next)
	default:
		h.app.metrics.requests[directory.Refuse].Inc()
		h.refuse(w, r, v)
		return nil
	}
}

// goOn hands a request to its upstream or to the next handler, with its instance or
// without one.
func (h *Handler) goOn(w http.ResponseWriter, r *http.Request, m directory.Match, next caddyhttp.Handler) error {
	f := &found{match: m}
	f.expose(r)
	if h.Proxy != nil {
		return h.proxied(w, r, f, next)
	}
	err := next.ServeHTTP(w, r)
	if err != nil && f.noUpstream != nil {
		// Caddy says only that no upstream is available, and with 503, as for one that
		// will be back.
		return caddyhttp.Error(http.StatusBadGateway, f.noUpstream)
	}
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
