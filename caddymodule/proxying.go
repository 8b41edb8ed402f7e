// Proxying: the handler sends the requests of instances to their upstreams itself.

package caddymodule

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"golang.org/x/net/http/httpguts"

	"github.com/gatehouse-edge/gatehouse/caddymodule/proxy"
)

// Proxy has the handler send requests on itself, over HTTP/1.1, in the place of a
// reverse_proxy behind it and for less than that costs. Upgrades, as of WebSockets, and what else
// it does not do exactly go to a reverse_proxy with the same upstreams, which it
// brings. Nothing after the handler gets a request that has an upstream.
//
// A request goes where `dynamic tenancy` sends it. One without an instance, as of a pass
// host, goes to the upstreams that are given here; without any, to the next handler.
type Proxy struct {
	// host:port, or unix//path: for instances whose context, cluster and the context
	// `default` have none.
	Upstreams []string `json:"upstreams,omitempty"`

	// How TLS is spoken to upstreams. Default: they are spoken to in clear text.
	TLS *reverseproxy.TLSConfig `json:"tls,omitempty"`

	// Fields that are set on the requests to upstreams; values may have placeholders.
	HeaderUp map[string]string `json:"header_up,omitempty"`

	// The time for a connection. Default: 3s.
	DialTimeout caddy.Duration `json:"dial_timeout,omitempty"`

	// The time from the end of a request to the header of its answer. Default: 5m;
	// negative: no limit.
	ResponseHeaderTimeout caddy.Duration `json:"response_header_timeout,omitempty"`

	// The time in which nothing of a body moves. Default: 10m; negative: no limit.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`

	// How long a connection is kept that has no request. Default: 2m.
	KeepAlive caddy.Duration `json:"keep_alive,omitempty"`

	// How old a connection gets. Default: 15m.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// How many connections without a request are kept to one upstream. Default: 128.
	MaxIdle int `json:"max_idle,omitempty"`

	// How many connections one upstream has. Default: 4096.
	MaxConns int `json:"max_conns,omitempty"`

	// How long a failure counts. Default: 10s; negative: failures do not count.
	FailDuration caddy.Duration `json:"fail_duration,omitempty"`

	// How many failures make an upstream the last to be asked. Default: 1.
	MaxFails int `json:"max_fails,omitempty"`

	// Where upgrades go, and what else is not done here: "reverse_proxy", one that is
	// brought, or "next", the next handler. Default: reverse_proxy.
	Others string `json:"others,omitempty"`

	// What a visitor gets when an upstream does not answer: "page", in the language of
	// the instance, or "pass", an error for handle_errors. Default: pass where the
	// server has routes for errors, else page.
	Errors string `json:"errors,omitempty"`

	own    *proxy.Proxy
	source *Upstreams
	others caddyhttp.MiddlewareHandler // nil for the next handler
	header []headerUp
}

// headerUp is a field of HeaderUp, made ready.
type headerUp struct {
	name, value string
	placeholder string // of ours, where the value is nothing else; else empty
	variable    bool   // has placeholders
}

// Values of the options.
const (
	OthersReverseProxy = "reverse_proxy"
	OthersNext         = "next"
	ErrorsPage         = "page"
	ErrorsPass         = "pass"
)

func (p *Proxy) provision(ctx caddy.Context, app *App) (err error) {
	p.source = &Upstreams{Upstreams: p.Upstreams}
	if err := p.source.Provision(ctx); err != nil {
		return err
	}
	if p.header, err = parseHeaderUp(p.HeaderUp); err != nil {
		return err
	}
	o := proxy.Options{
		DialTimeout: time.Duration(p.DialTimeout), ResponseHeaderTimeout: time.Duration(p.ResponseHeaderTimeout), IdleTimeout: time.Duration(p.IdleTimeout),
		KeepAlive: time.Duration(p.KeepAlive), MaxAge: time.Duration(p.MaxAge), MaxIdle: p.MaxIdle, MaxConns: p.MaxConns,
		FailDuration: time.Duration(p.FailDuration), MaxFails: p.MaxFails, Metrics: app.metrics.proxy,
	}
	if p.TLS != nil {
		if o.TLS, err = p.TLS.MakeTLSClientConfig(ctx); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		if o.TLS == nil { // nothing out of the ordinary
			o.TLS = new(tls.Config)
		}
		o.TLS.NextProtos = []string{"http/1.1"}
	}
	addresses, most := p.source.all()
	for _, a := range addresses {
		if network, _, found := strings.Cut(a, "/"); found && !slices.Contains([]string{"tcp", "tcp4", "tcp6", "unix"}, network) {
			return fmt.Errorf("%s: only HTTP/1.1 over TCP and Unix sockets is spoken here; reverse_proxy with `dynamic tenancy` does more", a)
		}
	}
	p.own = proxy.New(o, addresses)
	if p.Others == OthersNext {
		return nil
	}
	config, err := json.Marshal(p.reverseProxy(most))
	if err != nil {
		return err
	}
	module, err := ctx.LoadModuleByID("http.handlers.reverse_proxy", config)
	if err != nil {
		return fmt.Errorf("reverse_proxy for upgrades: %w", err)
	}
	p.others = module.(caddyhttp.MiddlewareHandler)
	return nil
}

// reverseProxy is the configuration of the one that is brought. most is the length of the
// longest list of upstreams: with one alone there is no other to go to when it has failed.
func (p *Proxy) reverseProxy(most int) map[string]any {
	type object = map[string]any
	// Names, and what a client accepts, are the client's.
	transport := object{"protocol": "http", "compression": false, "dial_timeout": cmp.Or(p.DialTimeout, caddy.Duration(3*time.Second))}
	set := http.Header{}
	for _, f := range p.header {
		set[f.name] = []string{f.value}
	}
	if p.TLS != nil {
		transport["tls"], transport["versions"] = p.TLS, []string{"1.1"}
		set["Host"] = []string{"{http.request.hostport}"}
	}
	config := object{
		"transport":         transport,
		"dynamic_upstreams": object{"source": "tenancy", "upstreams": p.source.Upstreams},
		"load_balancing":    object{"selection_policy": object{"policy": "least_conn"}, "retries": max(0, min(most-1, 2))},
	}
	if most > 1 && p.FailDuration >= 0 {
		config["health_checks"] = object{"passive": object{
			"fail_duration": cmp.Or(p.FailDuration, caddy.Duration(10*time.Second)), "max_fails": cmp.Or(p.MaxFails, 1),
		}}
	}
	if len(set) > 0 {
		config["headers"] = object{"request": object{"set": set}}
	}
	return config
}

func (p *Proxy) validate() error {
	for name, n := range map[string]int{"max_idle": p.MaxIdle, "max_conns": p.MaxConns, "max_fails": p.MaxFails} {
		if n < 0 {
			return fmt.Errorf("%s: is a number from 1 on", name)
		}
	}
	for name, d := range map[string]caddy.Duration{"dial_timeout": p.DialTimeout, "keep_alive": p.KeepAlive, "max_age": p.MaxAge} {
		if d < 0 {
			return fmt.Errorf("%s: is a time above 0", name)
		}
	}
	if p.TLS != nil && len(p.TLS.ExceptPorts) > 0 {
		return errors.New("tls: except_ports is not known here; use reverse_proxy with `dynamic tenancy`")
	}
	if p.Others != "" && p.Others != OthersReverseProxy && p.Others != OthersNext {
		return fmt.Errorf("others: %q is not known (allowed: reverse_proxy, next)", p.Others)
	}
	if p.Errors != "" && p.Errors != ErrorsPage && p.Errors != ErrorsPass {
		return fmt.Errorf("errors: %q is not known (allowed: page, pass)", p.Errors)
	}
	if addresses, _ := p.source.all(); len(addresses) == 0 {
		return errors.New("there is no upstream: neither given, nor of a context, nor of a cluster")
	}
	return nil
}

// parseHeaderUp refuses what would change where a request goes or where it ends.
func parseHeaderUp(fields map[string]string) (out []headerUp, err error) {
	for name, value := range fields {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value):
			return nil, fmt.Errorf("header_up: %q is not a field of HTTP", name)
		case slices.Contains([]string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Expect", "Keep-Alive"}, canonical):
			return nil, fmt.Errorf("header_up: %s is not to be set", canonical)
		}
		f := headerUp{name: canonical, value: value, variable: strings.Contains(value, "{")}
		if key, ok := strings.CutPrefix(value, "{"+placeholderPrefix); ok && strings.IndexByte(key, '}') == len(key)-1 {
			f.placeholder = placeholderPrefix + key[:len(key)-1]
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b headerUp) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// Cleanup closes the connections.
func (h *Handler) Cleanup() error {
	if h.Proxy != nil && h.Proxy.own != nil {
		h.Proxy.own.Close()
	}
	return nil
}
