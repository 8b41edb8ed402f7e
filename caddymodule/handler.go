// Handler: the way of a request.

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

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
// blocked, being deleted or unknown, and a redirect for an old domain. Request
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

	app    *App
	pages  *pages.Set
	logger *zap.Logger
}

// Values of Handler.Unknown.
const (
	UnknownPage = "page"
	UnknownPass = "pass"
)

// blockedRetry is when a client of a blocked instance may come again.
const blockedRetry = time.Hour

// notReadyRetry is when a client may come again that came before the directory
// was there.
const notReadyRetry = 5 * time.Second

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
	if h.pages, err = pages.New(repl.ReplaceAll(h.Pages, "")); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	if h.Unknown == "" {
		h.Unknown = UnknownPage
	}
	return nil
}

// Validate refuses what only a person can put right.
func (h *Handler) Validate() error {
	if h.Support != "" {
		if err := pages.CheckSupport(h.Support); err != nil {
			return fmt.Errorf("support: %w", err)
		}
	}
	if h.Unknown != UnknownPage && h.Unknown != UnknownPass {
		return fmt.Errorf("unknown: %q is not known (allowed: page, pass)", h.Unknown)
	}
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	stripIdentity(r.Header)
	v := h.app.runtime.dir.Decide(r.Host, h.app.mode)
	h.app.metrics.requests[v.Kind].Inc()
	switch {
	case v.Kind == directory.Serve || v.Code == tenancy.CodeNotFound && h.Unknown == UnknownPass:
		setPlaceholders(r, v.Match)
		return next.ServeHTTP(w, r)
	case v.Kind == directory.Redirect:
		redirect(w, r, v)
		return nil
	default:
		h.refuse(w, r, v)
		return nil
	}
}

// redirect keeps path and query. The answer is not to be stored: an old domain
// can become an instance of its own one day.
func redirect(w http.ResponseWriter, r *http.Request, v directory.Verdict) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	uri := r.URL.RequestURI()
	if !strings.HasPrefix(uri, "/") { // OPTIONS *
		uri = "/"
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", scheme+"://"+v.Location+uri)
	w.WriteHeader(v.Status)
}

// refuse answers with the page, or its like for machines.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, v directory.Verdict) {
	var err error
	if r.URL.Path == "/robots.txt" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		err = h.pages.WriteRobots(w, r)
	} else {
		f := pages.Refusal{Status: v.Status, Code: v.Code, Host: r.Host, Support: h.Support}
		if e := v.Match.Entry; e != nil {
			f.Host, f.Locale = e.Domain, e.Locale
		}
		switch {
		case v.Code == tenancy.CodeNotReady:
			f.RetryAfter = notReadyRetry
		case v.Status == http.StatusServiceUnavailable:
			f.RetryAfter = blockedRetry
		}
		err = h.pages.Write(w, r, f)
	}
	switch {
	case err == nil:
	case errors.Is(err, pages.ErrTemplate):
		h.logger.Error("a template of the folder of pages failed; the built-in page was sent", zap.Error(err))
	default:
		h.logger.Debug("answering a refusal", zap.Error(err))
	}
}

// identity is how the headers begin that say which instance was found.
const identity = "x-gatehouse-"

// stripIdentity removes what a client may have set to look like us. Servers
// behind FastCGI and its like take `_` and `.` for `-`.
func stripIdentity(header http.Header) {
	for name := range header {
		if len(name) >= len(identity) && isIdentity(name) {
			delete(header, name)
		}
	}
}

func isIdentity(name string) bool {
	for i := range len(identity) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_' || c == '.':
			c = '-'
		}
		if c != identity[i] {
			return false
		}
	}
	return true
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
