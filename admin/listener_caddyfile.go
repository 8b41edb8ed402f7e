// Caddyfile: the option `api` of the tenancy app.

package admin

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// UnmarshalCaddyfile reads, from a dispenser that begins with the option's name:
//
//	api <address> {
//		basic_auth <bcrypt hash>
//		tls <certificate file> <key file>
//	}
func (l *Listener) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // option name
	if !d.AllArgs(&l.Address) {
		return d.Err("api has one argument, the address to listen on")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch option := d.Val(); option {
		case "basic_auth":
			if l.BasicAuth != "" {
				return d.Err("basic_auth is given twice")
			}
			if !d.AllArgs(&l.BasicAuth) {
				return d.Err("basic_auth has one argument, a bcrypt hash or its placeholder")
			}
		case "tls":
			if l.Certificate != "" {
				return d.Err("tls is given twice")
			}
			if !d.AllArgs(&l.Certificate, &l.Key) {
				return d.Err("tls has two arguments, the files of a certificate and its key")
			}
		default:
			return d.Errf("unrecognized option '%s' (allowed: basic_auth, tls)", option)
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Listener)(nil)
