// Misdirected: requests on a connection that was made for another instance.

package caddymodule

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// misdirection answers them; RFC 9110, section 15.5.20. A browser tries again on a new
// connection, for which the certificate is the right one.
var misdirection = directory.Verdict{Code: pages.Misdirected, Status: http.StatusMisdirectedRequest}

// misdirected tells whether a request came in a handshake for one instance, by its server
// name (RFC 6066, section 3), and is for another one, or for a host of nobody's; e is
// that of the Host, the zero value for none. Browsers use one HTTP/2 connection for all hosts of its
// certificate (RFC 9113, section 9.1.1), so two under one configured wildcard are right.
//
// A server name that is no instance's, as of a pass host or of a health check, and none,
// say nothing. Where both names are the same as text nothing is looked up; it never
// allocates for ASCII names in lower case.
func (h *Handler) misdirected(r *http.Request, e directory.Entry) bool {
	if r.TLS == nil || r.TLS.ServerName == "" {
		return false
	}
	host, port := splitHost(r.Host)
	server := r.TLS.ServerName
	if strings.EqualFold(host, server) {
		return false
	}
	m, ok := h.app.runtime.dir.ResolveAt(server, port, h.app.mode)
	if !ok || m.Entry.Is(e) {
		return false
	}
	return !h.passHosts.has(server) && !h.coversBoth(host, strings.ToLower(server))
}

// coversBoth tells whether two names have one wildcard, which stands for a label of each.
func (h *Handler) coversBoth(host, server string) bool {
	if !h.app.covered(server) {
		return false
	}
	var room [tenancy.MaxHostLength]byte
	key, _, ok := tenancy.AppendHost(room[:0], host)
	if !ok {
		return false
	}
	_, parent, _ := strings.Cut(server, ".")
	dot := bytes.IndexByte(key, '.')
	return dot > 0 && string(key[dot+1:]) == parent
}

// splitHost cuts a Host into its name, without the root's dot, and its port; 0 for none.
func splitHost(host string) (name string, port uint16) {
	name = host
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:colon]
		if n, err := strconv.ParseUint(host[colon+1:], 10, 16); err == nil {
			port = uint16(n)
		}
	}
	return strings.TrimSuffix(name, "."), port
}
