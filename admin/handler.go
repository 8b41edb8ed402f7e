// Handler: the routes, and what is common to all of them.

package admin

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"
)

const (
	// maxBody bounds a request's body.
	maxBody = 1 << 20
	// workTime bounds one change, which goes on when its client has gone away.
	workTime = 5 * time.Minute
	// readTime bounds one question to the store.
	readTime = 30 * time.Second
)

// handler answers the API.
type handler struct {
	app  func() App
	auth authenticator
	log  *zap.Logger
	mux  *http.ServeMux
}

// NewHandler makes the API's handler. app gives the tenancy app at each request;
// nil while none is configured.
func NewHandler(app func() App, log *zap.Logger) http.Handler {
	h := &handler{app: app, log: log, mux: http.NewServeMux()}
	for pattern, serve := range map[string]func(App, http.ResponseWriter, *http.Request) error{
		"GET /instances":                 h.list,
		"POST /instances":                h.add,
		"GET /instances/count":           h.count,
		"GET /instances/{domain}":        h.show,
		"PATCH /instances/{domain}":      h.modify,
		"DELETE /instances/{domain}":     h.destroy,
		"GET /instances/{domain}/prefix": h.prefix,
		"GET /tenancy/status":            h.status,
		"GET /tenancy/explain":           h.explain,
		"/instances":                     notAllowed("GET, POST"),
		"/instances/{domain}":            notAllowed("GET, PATCH, DELETE"),
		"/instances/{domain}/{rest...}":  notOffered,
		"/tenancy/status":                notAllowed("GET"),
		"/tenancy/explain":               notAllowed("GET"),
		"/":                              notThere,
	} {
		h.mux.HandleFunc(pattern, h.wrap(serve))
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	h.mux.ServeHTTP(w, r)
}

// wrap finds the app, checks who asks, and writes an error if there is one.
func (h *handler) wrap(serve func(App, http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		app := h.app()
		if app == nil {
			h.fail(w, r, errNoApp)
			return
		}
		if app.AuthRequired() && !h.auth.allowed(r, app.AdminPassphraseHash()) {
			w.Header().Set("WWW-Authenticate", `Basic realm="instances", charset="UTF-8"`)
			h.fail(w, r, errUnauthorized)
			return
		}
		if err := serve(app, w, r); err != nil {
			h.fail(w, r, err)
		}
	}
}

// work is the context of a change: it outlives the request and the
// configuration, but not its time.
func work(app App, r *http.Request) (ctx context.Context, done func()) {
	release := app.Hold()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), workTime)
	return ctx, func() { cancel(); release() }
}

func notAllowed(methods string) func(App, http.ResponseWriter, *http.Request) error {
	return func(_ App, w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", methods)
		return &apiError{status: http.StatusMethodNotAllowed, title: "Method Not Allowed", detail: "allowed here: " + methods}
	}
}

// notOffered answers what a cozy-stack's API has and this one has not.
func notOffered(_ App, _ http.ResponseWriter, r *http.Request) error {
	return &apiError{
		status: http.StatusNotImplemented, title: "Not Implemented",
		detail: r.PathValue("rest") + " is not offered by this front door; ask the stack behind it",
	}
}

func notThere(App, http.ResponseWriter, *http.Request) error {
	return &apiError{status: http.StatusNotFound, title: "Not Found", detail: "there is no such route"}
}
