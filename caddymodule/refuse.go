// Refuse: the answers to requests that do not go on.

package caddymodule

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// blockedRetry is when a client of a blocked instance may come again.
const blockedRetry = time.Hour

// notReadyRetry is when a client may come again that came before the directory
// was there.
const notReadyRetry = 5 * time.Second

// scheme is that of a request, as its visitor sees it.
func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// redirect keeps path and query. The answer is not to be stored: an old domain
// can become an instance of its own one day.
func redirect(w http.ResponseWriter, r *http.Request, v directory.Verdict) {
	uri := r.URL.RequestURI()
	if !strings.HasPrefix(uri, "/") { // OPTIONS *
		uri = "/"
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", scheme(r)+"://"+v.Location+uri)
	w.WriteHeader(v.Status)
}

// refuse answers with the page, or its like for machines.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, v directory.Verdict) {
	e := v.Match.Entry
	site := h.siteOf(e)
	var err error
	// What is misdirected says nothing of the host, so that crawlers have to come again.
	if v.Code != pages.Misdirected && r.URL.Path == "/robots.txt" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		err = site.pages.WriteRobots(w, r)
	} else {
		f := pages.Refusal{Status: v.Status, Code: v.Code, Host: r.Host, Support: site.support}
		if !e.IsZero() {
			f.Host, f.Locale = e.Domain(), e.Locale()
		}
		switch {
		case v.Code == tenancy.CodeNotReady:
			f.RetryAfter = notReadyRetry
		case v.Status == http.StatusServiceUnavailable:
			f.RetryAfter = blockedRetry
		}
		if h.Stack == StackCozy && onTheMove(e) {
			w = &moving{ResponseWriter: w, to: importing(r, v.Match)}
		}
		err = site.pages.Write(w, r, f)
	}
	switch {
	case err == nil:
	case errors.Is(err, pages.ErrTemplate):
		h.logger.Error("a template of the folder of pages failed; the built-in page was sent", zap.Error(err))
	default:
		h.logger.Debug("answering a refusal", zap.Error(err))
	}
}

// importing is where the stack's page on an import is: on the instance's own host.
func importing(r *http.Request, m directory.Match) string {
	if m.Slug == "" && m.By != directory.ByOldDomain {
		return importingPath
	}
	host := m.Entry.Key()
	if key, ok := tenancy.HostKey(r.Host); ok && !strings.Contains(host, ":") {
		if _, port, found := strings.Cut(key, ":"); found {
			host += ":" + port
		}
	}
	return scheme(r) + "://" + host + importingPath
}
