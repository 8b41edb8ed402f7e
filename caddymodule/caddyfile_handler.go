// Caddyfile: the directive `tenancy`.

package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("tenancy", parseDirective)
	// Before whatever could answer in an instance's name.
	httpcaddyfile.RegisterDirectiveOrder("tenancy", httpcaddyfile.Before, "redir")
}

func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile reads the directive:
//
//	tenancy [<matcher>] {
//		support <e-mail address or https URL>
//		pages <folder>
//		unknown page|pass
//		stack cozy
//		pass_hosts <hosts...>
//		onboarding pass|page
//		proxy [<upstreams...>] { … }
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		var err error
		switch option := d.Val(); option {
		case "support":
			err = single(d, &h.Support)
		case "pages":
			err = single(d, &h.Pages)
		case "unknown":
			err = single(d, &h.Unknown)
		case "stack":
			err = single(d, &h.Stack)
		case "pass_hosts":
			err = several(d, &h.PassHosts)
		case "onboarding":
			err = single(d, &h.Onboarding)
		case "proxy":
			err = h.unmarshalProxy(d)
		default:
			err = d.Errf("unrecognized option '%s' (allowed: support, pages, unknown, stack, pass_hosts, onboarding, proxy)", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
