// Cozy: what a cozy-stack answers itself although the instance is blocked or is
// being deleted (`stack cozy`).

package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// importingPath is where a stack has the page on what becomes of an instance that
// is being imported or moved.
const importingPath = "/move/importing"

var (
	// despiteBlock are beginnings of paths that a stack answers for a blocked
	// instance, so that its owner can pay, or unblock it.
	despiteBlock = []string{"/assets/", "/settings/"}
	// despiteDeleting are those of the API by which connectors clean up, with a token
	// that the stack checks.
	despiteDeleting = []string{"/data/", "/files/", "/accounts/", "/jobs/", "/konnectors/", "/permissions/", "/realtime/"}
)

// letsThrough tells whether a stack would answer a request that v refuses.
//
// That is so on the instance's own host alone: on an app's host these paths are
// the app's files, and an old domain is not to be served under its name. An
// instance whose deletion has failed is not let through at all: a part of its
// databases is gone, which a stack does not know, and what it wrote now would be
// lost, or in the way of the next try.
func letsThrough(r *http.Request, v directory.Verdict) bool {
	e := v.Match.Entry
	if e.IsZero() || v.Match.Slug != "" || v.Match.By == directory.ByOldDomain {
		return false
	}
	path, plain := plainPath(r.URL)
	if !plain {
		return false
	}
	switch {
	case e.State() == tenancy.Deleting:
		return beginsWith(path, despiteDeleting) && hasBearer(r.Header)
	case e.State() != tenancy.Blocked || e.Reason() == tenancy.ReasonDeletionFailed:
		return false
	case path == "/robots.txt" || beginsWith(path, despiteBlock):
		return true
	}
	return onTheMove(e) && strings.HasPrefix(path, "/move/")
}

// onTheMove tells whether an instance is blocked while it is imported or moved.
func onTheMove(e directory.Entry) bool {
	return e.State() == tenancy.Blocked && (e.Reason() == tenancy.ReasonImporting || e.Reason() == tenancy.ReasonMoving)
}

func beginsWith(path string, beginnings []string) bool {
	for _, b := range beginnings {
		if strings.HasPrefix(path, b) {
			return true
		}
	}
	return false
}

// hasBearer tells whether a request has one bearer token (RFC 6750, section 2.1).
func hasBearer(h http.Header) bool {
	values := h["Authorization"]
	if len(values) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	return strings.EqualFold(scheme, "Bearer") && strings.Trim(token, " ") != ""
}

// plainPath is a request's path as the upstream gets it. plain is false for one
// that servers read in different ways: with an empty segment, one of dots alone,
// or a character, escaped or not, that some take for the end of a segment.
func plainPath(u *url.URL) (path string, plain bool) {
	path = u.EscapedPath()
	if !strings.HasPrefix(path, "/") || !utf8.ValidString(u.Path) { // an overlong slash is one to some
		return path, false
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' { // EscapedPath leaves none without two digits
			decoded := unhex(path[i+1])<<4 | unhex(path[i+2])
			if strings.IndexByte(`/\.%;`, decoded) >= 0 {
				return path, false
			}
			c, i = decoded, i+2
		}
		if c < ' ' || c == 0x7f || c == '\\' || c == ';' {
			return path, false
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if s == "." || s == ".." || s == "" && i < len(segments)-1 {
			return path, false
		}
	}
	return path, true
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// moving answers with a refusal, but for an HTML client, which it sends to the
// stack's page. Which client that is, is for the page's own choice of a form to
// say: it knows before the status is written.
type moving struct {
	http.ResponseWriter
	to string
}

func (m *moving) WriteHeader(status int) {
	h := m.Header()
	if strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		h.Set("Location", m.to)
		h.Del("Retry-After")
		status = http.StatusFound
	}
	m.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (m *moving) Unwrap() http.ResponseWriter { return m.ResponseWriter }
