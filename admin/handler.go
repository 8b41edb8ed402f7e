// Handler: the routes, and what is common to all of them.

package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/access"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

const (
	// maxBody bounds a request's body.
	maxBody = 1 << 20
	// workTime bounds one change, which goes on when its client has gone away.
	workTime = 5 * time.Minute
	// repairTime bounds what goes through a whole store.
	repairTime = 6 * time.Hour
	// readTime bounds one question to the store.
	readTime = 30 * time.Second
	// writeTime bounds the wait for a client that takes nothing of a long answer.
	writeTime = time.Minute
)

// handler answers the API.
type handler struct {
	app   func() App
	guard *guard
	log   *zap.Logger
	mux   *http.ServeMux

	secretQueries bool            // whether a query may hold a passphrase
	quit          <-chan struct{} // closed when streams without an end have to end; may be nil
	watchers      chan struct{}   // a place for each watcher
	repairs       chan struct{}   // a place for each check or repair
	imports       chan struct{}   // a place for each item that is being imported, of all imports
}

// serveFunc answers a request, or returns an error before it has written anything.
type serveFunc func(App, http.ResponseWriter, *http.Request) error

// route is what answers, and the role that it takes.
type route struct {
	role  access.Role
	serve serveFunc
}

// NewHandler makes the handler of Caddy's admin endpoint. app gives the tenancy
// app at each request; nil while none is configured.
func NewHandler(app func() App, log *zap.Logger) http.Handler {
	return newHandler(app, log, &guard{via: viaAdmin, hash: appHash})
}

func newHandler(app func() App, log *zap.Logger, g *guard) *handler {
	h := &handler{
		app: app, guard: g, log: log, mux: http.NewServeMux(),
		watchers: make(chan struct{}, maxWatchers), repairs: make(chan struct{}, 1), imports: make(chan struct{}, maxConcurrency),
	}
	g.init()
	allowed := map[string][]string{} // methods by path
	for pattern, r := range h.routes() {
		h.mux.HandleFunc(pattern, h.wrap(r))
		if method, path, ok := strings.Cut(pattern, " "); ok {
			allowed[path] = append(allowed[path], method)
		}
	}
	for path, methods := range allowed {
		refuse := h.wrap(route{access.Read, notAllowed(methods)})
		for _, method := range methodNames {
			if !slices.Contains(methods, method) {
				h.mux.HandleFunc(method+" "+path, refuse)
			}
		}
	}
	for _, name := range stackRoutes {
		for _, method := range methodNames {
			h.mux.HandleFunc(method+" /instances/"+name, h.wrap(route{access.Read, notOffered}))
		}
	}
	return h
}

// methodNames are those that a mux tells apart here. One pattern for all would be
// in conflict with the paths that begin with a domain.
var methodNames = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// stackRoutes are those of a cozy-stack's API that have the place of a domain and
// are not offered; what stands behind a domain needs no list.
var stackRoutes = []string{"oauth_client", "updates", "contexts", "assets", "redis"}

func (h *handler) routes() map[string]route {
	return map[string]route{
		"GET /instances":                         {access.Read, h.list},
		"POST /instances":                        {access.Admin, h.add},
		"GET /instances/count":                   {access.Read, h.count},
		"POST /instances/token":                  {access.Admin, h.token},
		"POST /instances/import":                 {access.Admin, h.importMany},
		"GET /instances/export":                  {access.Admin, h.export},
		"GET /instances/{domain}":                {access.Read, h.show},
		"PATCH /instances/{domain}":              {access.Block, h.modify},
		"DELETE /instances/{domain}":             {access.Admin, h.destroy},
		"GET /instances/{domain}/prefix":         {access.Read, h.prefix},
		"GET /instances/{domain}/last-activity":  {access.Read, h.lastActivity},
		"GET /instances/{domain}/history":        {access.Read, h.history},
		"GET /instances/{domain}/domains":        {access.Read, h.domains},
		"POST /instances/{domain}/domains/check": {access.Admin, h.checkDomains},
		"POST /instances/{domain}/passphrase":    {access.Admin, h.setPassphrase},
		"POST /instances/{domain}/auth-mode":     {access.Admin, h.authMode},
		"POST /instances/{domain}/link":          {access.Admin, h.resendLink},
		"POST /instances/{domain}/apps":          {access.Admin, h.installApps},
		"DELETE /instances/{domain}/sessions":    {access.Admin, h.cleanSessions},
		"GET /tenancy/status":                    {access.Read, h.status},
		"GET /tenancy/explain":                   {access.Read, h.explain},
		"GET /tenancy/watch":                     {access.Read, h.watch},
		"GET /tenancy/operations":                {access.Read, h.operations},
		"POST /tenancy/check":                    {access.Admin, h.check},
		"POST /tenancy/repair":                   {access.Admin, h.repair},
		"POST /tenancy/adopt":                    {access.Admin, h.adopt},
		"GET /tenancy/certificates":              {access.Read, h.listCertificates},
		"GET /tenancy/quarantine":                {access.Read, h.quarantines},
		"DELETE /tenancy/quarantine/{domain}":    {access.Admin, h.liftQuarantine},
		"GET /tenancy/tokens":                    {access.Admin, h.listTokens},
		"POST /tenancy/tokens":                   {access.Admin, h.addToken},
		"DELETE /tenancy/tokens/{token}":         {access.Admin, h.revokeToken},
		"/instances/{domain}/{rest...}":          {access.Read, notOffered},
		"/":                                      {access.Read, notThere},
	}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if h.guard.via == viaAdmin {
		// Time limits of long answers must not stay with Caddy's own connection.
		defer func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) }()
	}
	h.mux.ServeHTTP(w, r)
}

// wrap finds the app, checks who asks, and writes an error if there is one.
func (h *handler) wrap(to route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		app := h.app()
		if app == nil {
			h.fail(w, r, errNoApp)
			return
		}
		who, err := h.guard.identify(app, r)
		if err != nil {
			if _, given := credentials(r); given && err == errUnauthorized {
				h.log.Warn("a login has failed", zap.String("address", addressOf(r)))
			}
			h.fail(w, r, err)
			return
		}
		if !who.role.May(to.role) {
			h.log.Warn("a token was used for what it may not do", zap.String("token", who.name),
				zap.String("role", string(who.role)), zap.String("method", r.Method), zap.String("path", r.URL.Path))
			h.fail(w, r, forbidden(who.role, "this takes the role "+string(to.role)))
			return
		}
		ctx := lifecycle.WithOrigin(withCaller(r.Context(), who),
			lifecycle.Origin{Actor: who.name, Address: who.address, Via: h.guard.via})
		if err := to.serve(app, w, r.WithContext(ctx)); err != nil {
			h.fail(w, r, err)
		}
	}
}

// work is the context of a change: it outlives the request and the
// configuration, but not its time.
func work(app App, r *http.Request) (ctx context.Context, done func()) {
	return workFor(app, r, workTime)
}

func workFor(app App, r *http.Request, limit time.Duration) (ctx context.Context, done func()) {
	release := app.Hold()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), limit)
	return ctx, func() { cancel(); release() }
}

// question is the context of a question to the store.
func question(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), readTime)
}
