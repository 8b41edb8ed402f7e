// Caddyfile: `certificates` of the tenancy option.

package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads the block:
//
//	certificates {
//		apps <slugs...>
//		wildcard <names...>
//		points_to <host names and IP addresses...>
//		resolver <address>
//		limit account|domain|name|client|removal <number> <time>
//		issuer <module> ...
//		revoke
//		cache <certificates>
//		parallel <orders>
//	}
func (c *Certificates) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // certificates
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		var err error
		switch option := d.Val(); option {
		case "apps":
			err = several(d, &c.Apps)
		case "wildcard":
			err = several(d, &c.Wildcards)
		case "points_to":
			err = several(d, &c.PointsTo)
		case "resolver":
			err = single(d, &c.Resolver)
		case "limit":
			err = c.parseLimit(d)
		case "issuer":
			err = c.parseIssuer(d)
		case "revoke":
			if d.NextArg() {
				return d.ArgErr()
			}
			c.Revoke = true
		case "cache":
			err = count(d, &c.Cache)
		case "parallel":
			err = count(d, &c.Parallel)
		default:
			return d.Errf("unrecognized option '%s' (allowed: apps, wildcard, points_to, resolver, limit, issuer, revoke, cache, parallel)", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// count reads a number from 1 on, once.
func count(d *caddyfile.Dispenser, to *int) error {
	name := d.Val()
	if *to != 0 {
		return d.Errf("%s is given twice", name)
	}
	if !d.NextArg() {
		return d.ArgErr()
	}
	n, err := strconv.Atoi(d.Val())
	if err != nil || n < 1 {
		return d.Errf("%s '%s' is not a number from 1 on", name, d.Val())
	}
	if *to = n; d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func (c *Certificates) parseLimit(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 2 && args[1] == "off" {
		args = []string{args[0], "0", "0s"}
	}
	if len(args) != 3 {
		return d.Err("limit has a name, a number of orders and a time, as in `limit account 300 3h`, or `off`")
	}
	if _, twice := c.Limits[args[0]]; twice {
		return d.Errf("limit %s is given twice", args[0])
	}
	orders, err := strconv.Atoi(args[1])
	if err != nil || orders < 0 {
		return d.Errf("limit %s: '%s' is not a number of orders", args[0], args[1])
	}
	window, err := caddy.ParseDuration(args[2])
	if err != nil {
		return d.Errf("limit %s: '%s' is not a time, as 3h", args[0], args[2])
	}
	if c.Limits == nil {
		c.Limits = map[string]Limit{}
	}
	c.Limits[args[0]] = Limit{Orders: orders, Window: caddy.Duration(window)}
	return nil
}

func (c *Certificates) parseIssuer(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, "tls.issuance."+name)
	if err != nil {
		return err
	}
	c.IssuersRaw = append(c.IssuersRaw, caddyconfig.JSONModuleObject(module, "module", name, nil))
	return nil
}
