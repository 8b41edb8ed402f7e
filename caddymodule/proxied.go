// Proxied: a request that the handler sends on itself, and what is said when that fails.

package caddymodule

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
	"github.com/gatehouse-edge/gatehouse/caddymodule/proxy"
)

// proxied answers a request with what an upstream says.
func (h *Handler) proxied(w http.ResponseWriter, r *http.Request, f *found, next caddyhttp.Handler) error {
	p := h.Proxy
	addresses := p.source.of(f.match.Entry)
	if len(addresses) == 0 {
		if f.match.Entry.IsZero() {
			return next.ServeHTTP(w, r)
		}
		return h.unanswered(w, r, f, http.StatusBadGateway, noUpstream(f.match.Entry))
	}
	if !proxy.Takes(r) {
		if p.others == nil {
			return next.ServeHTTP(w, r)
		}
		err := p.others.ServeHTTP(w, r, next)
		var answer caddyhttp.HandlerError
		if errors.As(err, &answer) {
			return h.unanswered(w, r, f, answer.StatusCode, err)
		}
		return err
	}
	f.proxied = true
	f.exchange.Addresses = addresses
	f.exchange.Trusted, _ = caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	if len(p.header) > 0 {
		f.exchange.Header = p.fields(r, f)
	}
	defer func() {
		if f.exchange.Broken != nil { // Serve has panicked, for net/http to close the connection
			h.logger.Warn("an answer has broken off", zap.String("host", r.Host), zap.String("upstream", f.exchange.Upstream), zap.Error(f.exchange.Broken))
		}
	}()
	err := p.own.Serve(w, r, &f.exchange)
	f.duration = time.Since(f.exchange.Began)
	if err == nil {
		return nil
	}
	var failed *proxy.Error
	if !errors.As(err, &failed) {
		return err
	}
	return h.unanswered(w, r, f, failed.Status, err)
}

// fields are those of header_up for a request.
func (p *Proxy) fields(r *http.Request, f *found) []proxy.Field {
	out := make([]proxy.Field, len(p.header))
	for i, up := range p.header {
		out[i] = proxy.Field{Name: up.name, Value: up.value}
		if up.placeholder != "" {
			if value, ok := f.placeholder(up.placeholder); ok {
				out[i].Value, _ = value.(string)
				continue
			}
		}
		if up.variable {
			out[i].Value = r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).ReplaceAll(up.value, "")
		}
	}
	return out
}

// unanswered says that an upstream has not answered: by a page, or by an error for Caddy.
// The client's own failures are no page.
func (h *Handler) unanswered(w http.ResponseWriter, r *http.Request, f *found, status int, err error) error {
	switch status {
	case proxy.StatusClientClosed:
		w.WriteHeader(status) // for the log
		return nil
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return caddyhttp.Error(status, err)
	}
	var own caddyhttp.HandlerError
	if h.passesErrors(r) || errors.As(err, &own) && own.StatusCode != status {
		return caddyhttp.Error(status, err)
	}
	h.logger.Error("an upstream has not answered", zap.String("host", r.Host), zap.String("method", r.Method), zap.Int("status", status), zap.Error(err))
	refusal := pages.Refusal{Status: status, Code: pages.UpstreamFailed, Host: r.Host, Support: h.siteOf(f.match.Entry).support}
	if status == http.StatusGatewayTimeout {
		refusal.Code = pages.UpstreamTimeout
	}
	if e := f.match.Entry; !e.IsZero() {
		refusal.Host, refusal.Locale = e.Domain(), e.Locale()
	}
	if err := h.siteOf(f.match.Entry).pages.Write(w, r, refusal); err != nil {
		h.logger.Debug("answering for an upstream", zap.Error(err))
	}
	return nil
}

// passesErrors tells whether Caddy is to answer for an upstream.
func (h *Handler) passesErrors(r *http.Request) bool {
	switch h.Proxy.Errors {
	case ErrorsPage:
		return false
	case ErrorsPass:
		return true
	}
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return ok && server.Errors != nil && len(server.Errors.Routes) > 0
}

// upstreamPrefix begins the placeholders of reverse_proxy, which logs are written with.
const upstreamPrefix = "http.reverse_proxy."

// upstreamPlaceholder is {http.reverse_proxy.*} of a request that was sent on here.
func (f *found) upstreamPlaceholder(name string) (any, bool) {
	x := &f.exchange
	switch name {
	case "upstream.address", "upstream.hostport":
		_, target, ok := strings.Cut(x.Upstream, "/")
		if name == "upstream.hostport" && ok {
			return target, true
		}
		return x.Upstream, x.Upstream != ""
	case "upstream.host", "upstream.port":
		host, port, err := net.SplitHostPort(x.Upstream)
		if err != nil {
			return "", true
		}
		if name == "upstream.host" {
			return host, true
		}
		return port, true
	case "upstream.latency":
		return x.Latency, x.Status != 0
	case "upstream.latency_ms":
		return x.Latency.Seconds() * 1e3, x.Status != 0
	case "duration", "upstream.duration":
		return f.duration, true
	case "duration_ms", "upstream.duration_ms":
		return f.duration.Seconds() * 1e3, true
	case "retries":
		return x.Retries, true
	case "status_code":
		return x.Status, x.Status != 0
	case "status_text":
		return http.StatusText(x.Status), x.Status != 0
	}
	if field, ok := strings.CutPrefix(name, "header."); ok && x.Answer != nil {
		return strings.Join(x.Answer[http.CanonicalHeaderKey(field)], ","), true
	}
	return nil, false
}
