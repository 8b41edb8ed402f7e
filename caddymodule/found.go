// Found: what the handlers behind learn of a request's instance.

package caddymodule

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-edge/gatehouse/caddymodule/proxy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// foundVar is the variable of a request with what was found. Caddy's map of
// variables is there anyway; a context of our own would copy the request.
const foundVar = "gatehouse.instance"

// found is the instance of a request that goes on. It belongs to the request.
type found struct {
	match      directory.Match // without an entry where the request goes on without an instance
	noUpstream error           // set by GetUpstreams

	proxied  bool // the handler has sent it on itself
	exchange proxy.Exchange
	duration time.Duration
}

// expose lets the handlers behind see the instance: by placeholders, and as a
// variable for our own modules. Without an instance, placeholders are empty.
func (f *found) expose(r *http.Request) {
	caddyhttp.SetVar(r.Context(), foundVar, f)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(f.placeholder)
	}
}

const placeholderPrefix = "http.tenancy."

// placeholder is {http.tenancy.*}, computed when it is asked for.
func (f *found) placeholder(key string) (any, bool) {
	name, ours := strings.CutPrefix(key, placeholderPrefix)
	if !ours {
		if name, ok := strings.CutPrefix(key, upstreamPrefix); ok && f.proxied {
			return f.upstreamPlaceholder(name)
		}
		return nil, false
	}
	e := f.match.Entry
	switch name {
	case "domain", "host", "slug", "prefix", "context", "locale", "uuid", "cluster", "state":
		if e.IsZero() {
			return "", true
		}
	}
	switch name {
	case "domain":
		return e.Domain(), true
	case "host":
		host, _, _ := strings.Cut(e.Key(), ":")
		return host, true
	case "slug":
		return f.match.Slug, true
	case "prefix":
		return e.Prefix(), true
	case "context":
		return e.Context(), true
	case "locale":
		return e.Locale(), true
	case "uuid":
		return e.UUID(), true
	case "cluster":
		return strconv.Itoa(e.Cluster()), true
	case "state":
		return e.State().String(), true
	}
	return nil, false
}
