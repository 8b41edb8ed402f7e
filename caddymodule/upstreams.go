// Upstreams: which server a request of an instance goes to.

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func init() { caddy.RegisterModule(Upstreams{}) }

// Upstreams lets one front door serve several stacks. A request goes to the
// upstreams of its instance's context; without any, to those of the cluster with
// the instance's databases; else to those of the context `default`; else to those
// that are given here, as does one that the handler passes on without an instance.
//
// Where none of these has an upstream, the static upstreams of reverse_proxy take
// the request; without any, the answer is 502.
//
// As with every dynamic source of upstreams, Caddy makes no active health checks.
// Passive ones work: what failed is remembered by the upstream's address.
type Upstreams struct {
	// host:port, or unix//path.
	Upstreams []string `json:"upstreams,omitempty"`

	contexts map[string][]string
	clusters map[int][]string
}

// maxUpstreams bounds one list of upstreams.
const maxUpstreams = 100

// CaddyModule returns the Caddy module information.
func (Upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.tenancy", New: func() caddy.Module { return new(Upstreams) }}
}

// Provision takes the lists from the app.
func (u *Upstreams) Provision(ctx caddy.Context) error {
	module, err := ctx.App("tenancy")
	if err != nil {
		return err
	}
	if u.Upstreams, err = parseUpstreams(u.Upstreams); err != nil {
		return fmt.Errorf("upstreams: %w", err)
	}
	app := module.(*App)
	u.contexts, u.clusters = map[string][]string{}, map[int][]string{}
	for name, c := range app.Contexts {
		u.contexts[name] = c.Upstreams
	}
	for i := range app.Clusters {
		u.clusters[app.Clusters[i].Index] = app.Clusters[i].Upstreams
	}
	return nil
}

// parseUpstreams resolves placeholders and refuses what nothing can be dialled by.
func parseUpstreams(list []string) ([]string, error) {
	if len(list) > maxUpstreams {
		return nil, fmt.Errorf("are more than %d", maxUpstreams)
	}
	repl := caddy.NewReplacer()
	out := make([]string, len(list))
	for i, s := range list {
		s = repl.ReplaceAll(s, "")
		if strings.Contains(s, "://") || strings.Contains(s, "@") {
			return nil, fmt.Errorf("number %d is a URL; an upstream is host:port, and reverse_proxy's transport says whether it speaks TLS", i+1)
		}
		addr, err := caddy.ParseNetworkAddress(s)
		switch {
		case err != nil, addr.PortRangeSize() != 1, strings.ContainsAny(s, "{} "),
			!caddy.IsUnixNetwork(addr.Network) && (!strings.HasPrefix(addr.Network, "tcp") || addr.Host == "" || addr.StartPort == 0),
			caddy.IsUnixNetwork(addr.Network) && addr.Host == "":
			return nil, fmt.Errorf("%q is not an upstream, as in localhost:8081 or unix//run/stack.sock", s)
		case slices.Contains(out[:i], s):
			return nil, fmt.Errorf("%s is given twice", s)
		}
		out[i] = s
	}
	return out, nil
}

// errUnseen: reverse_proxy asks for an instance that nobody has looked for.
var errUnseen = errors.New("the tenancy handler has not seen the request: it has to come before reverse_proxy, in the same site")

// GetUpstreams implements reverseproxy.UpstreamSource.
//
// The values are new ones for each request, as those of Caddy's own sources:
// reverse_proxy writes into them. It keeps the number of requests and of failures
// by their addresses.
func (u *Upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	f, ok := caddyhttp.GetVar(r.Context(), foundVar).(*found)
	if !ok {
		return nil, errUnseen
	}
	dials := u.of(f.match.Entry)
	if len(dials) == 0 {
		f.noUpstream = noUpstream(f.match.Entry)
		return nil, f.noUpstream
	}
	values := make([]reverseproxy.Upstream, len(dials))
	out := make([]*reverseproxy.Upstream, len(dials))
	for i, dial := range dials {
		values[i].Dial = dial
		out[i] = &values[i]
	}
	return out, nil
}

// of are the addresses for an instance; nil is none.
func (u *Upstreams) of(e directory.Entry) []string {
	if !e.IsZero() {
		for _, dials := range [][]string{u.contexts[e.Context()], u.clusters[e.Cluster()], u.contexts[lifecycle.DefaultContext]} {
			if len(dials) > 0 {
				return dials
			}
		}
	}
	return u.Upstreams
}

// all are the addresses that any instance has, and the length of the longest list.
func (u *Upstreams) all() (addresses []string, most int) {
	lists := append(slices.Collect(maps.Values(u.contexts)), slices.Collect(maps.Values(u.clusters))...)
	for _, list := range append(lists, u.Upstreams) {
		addresses, most = append(addresses, list...), max(most, len(list))
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), most
}

func noUpstream(e directory.Entry) error {
	if e.IsZero() {
		return errors.New("dynamic tenancy has no `default` upstream, where requests without an instance go")
	}
	return fmt.Errorf("there is no upstream for %s: neither its context (%s) nor its cluster (%d) has one, and dynamic tenancy has no `default`",
		e.Domain(), cmp.Or(e.Context(), lifecycle.DefaultContext), e.Cluster())
}

// UnmarshalCaddyfile reads the source of upstreams:
//
//	dynamic tenancy {
//		default <upstreams...>
//	}
func (u *Upstreams) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the source's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		if option := d.Val(); option != "default" {
			return d.Errf("unrecognized option '%s' (allowed: default)", option)
		}
		if err := several(d, &u.Upstreams); err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Upstreams)(nil)
	_ caddyfile.Unmarshaler       = (*Upstreams)(nil)
	_ reverseproxy.UpstreamSource = (*Upstreams)(nil)
)
