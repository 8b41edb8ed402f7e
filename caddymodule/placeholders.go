// Placeholders: {http.tenancy.*}, computed when they are asked for.

package caddymodule

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

const placeholderPrefix = "http.tenancy."

// setPlaceholders lets the handlers behind see the instance. Without one, as for
// an unknown host that is passed on, all are empty.
func setPlaceholders(r *http.Request, m directory.Match) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	repl.Map(func(key string) (any, bool) {
		name, found := strings.CutPrefix(key, placeholderPrefix)
		if !found {
			return nil, false
		}
		return placeholder(m, name)
	})
}

func placeholder(m directory.Match, name string) (any, bool) {
	e := m.Entry
	switch name {
	case "domain", "host", "slug", "prefix", "context", "locale", "uuid", "cluster", "state":
		if e == nil {
			return "", true
		}
	}
	switch name {
	case "domain":
		return e.Domain, true
	case "host":
		host, _, _ := strings.Cut(e.Key, ":")
		return host, true
	case "slug":
		return m.Slug, true
	case "prefix":
		return e.Prefix, true
	case "context":
		return e.Context, true
	case "locale":
		return e.Locale, true
	case "uuid":
		return e.UUID, true
	case "cluster":
		return strconv.Itoa(e.Cluster), true
	case "state":
		return e.State.String(), true
	}
	return nil, false
}
