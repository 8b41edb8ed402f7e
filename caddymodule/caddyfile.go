// Caddyfile: the global option `tenancy`.

package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func init() { httpcaddyfile.RegisterGlobalOption("tenancy", parseGlobal) }

func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the tenancy option is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "tenancy", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads the global option:
//
//	tenancy {
//		store embedded <folder>
//		store couchdb <urls...> {
//			username <name>
//			password <placeholder>
//		}
//		cluster <index> <urls...> [closed] {
//			username <name>
//			password <placeholder>
//			upstream <upstreams...>
//			capacity <instances>
//		}
//		snapshot <file>|off
//		subdomains nested|flat|off
//		admin_hash <bcrypt hash>
//		context <name> {
//			locale <tag>
//			apps <slugs...>
//			registry <urls...>
//			directories on|off
//			disk_quota <size>
//			upstream <upstreams...>
//			support <e-mail address or https URL>
//			pages <folder>
//		}
//		registry <context> <urls...>
//		files <url>
//		before_destroy|after_add|after_block|send_link <url>
//		hook_secret <placeholder>
//		quarantine <time>
//		api <address> {
//			basic_auth <bcrypt hash>
//			tls <certificate file> <key file>
//		}
//		certificates {
//			...
//		}
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // option name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		var err error
		switch option := d.Val(); option {
		case "store":
			if a.Store != nil {
				return d.Err("store is given twice")
			}
			a.Store, err = parseStore(d)
		case "cluster":
			var c Cluster
			if c, err = parseCluster(d); err == nil {
				a.Clusters = append(a.Clusters, c)
			}
		case "snapshot":
			err = single(d, &a.Snapshot)
		case "subdomains":
			err = single(d, &a.Subdomains)
		case "admin_hash":
			err = single(d, &a.AdminHash)
		case "context":
			err = a.parseContext(d)
		case "registry":
			err = a.parseRegistryLine(d)
		case "files":
			err = single(d, &a.Files)
		case lifecycle.BeforeDestroy, lifecycle.AfterAdd, lifecycle.AfterBlock, lifecycle.SendLink, "hook_secret":
			if a.Hooks == nil {
				a.Hooks = new(Hooks)
			}
			err = single(d, a.Hooks.option(option))
		case "quarantine":
			err = a.parseQuarantine(d)
		case "certificates":
			if a.Certificates != nil {
				return d.Err("certificates is given twice")
			}
			a.Certificates = new(Certificates)
			err = a.Certificates.UnmarshalCaddyfile(d.NewFromNextSegment())
		case "api":
			if a.API != nil {
				return d.Err("api is given twice")
			}
			a.API = new(admin.Listener)
			err = a.API.UnmarshalCaddyfile(d.NewFromNextSegment())
		default:
			return d.Errf("unrecognized option '%s' (allowed: store, cluster, snapshot, subdomains, admin_hash, context, registry, files, before_destroy, after_add, after_block, send_link, hook_secret, quarantine, api, certificates)", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// option is where a line of the Caddyfile belongs.
func (h *Hooks) option(name string) *string {
	switch name {
	case lifecycle.BeforeDestroy:
		return &h.BeforeDestroy
	case lifecycle.AfterAdd:
		return &h.AfterAdd
	case lifecycle.AfterBlock:
		return &h.AfterBlock
	case lifecycle.SendLink:
		return &h.SendLink
	default:
		return &h.Secret
	}
}

func (a *App) parseQuarantine(d *caddyfile.Dispenser) error {
	var text string
	if a.Quarantine != 0 {
		return d.Err("quarantine is given twice")
	}
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	q, err := caddy.ParseDuration(text)
	if err != nil {
		return d.Errf("quarantine '%s' is not a time, as in 30d or 12h", text)
	}
	a.Quarantine = caddy.Duration(q)
	return nil
}

// single reads an option with one value, which is given once.
func single(d *caddyfile.Dispenser, into *string) error {
	if *into != "" {
		return d.Errf("%s is given twice", d.Val())
	}
	if !d.AllArgs(into) {
		return d.ArgErr()
	}
	return nil
}

// several reads an option with one or more values, which is given once.
func several(d *caddyfile.Dispenser, into *[]string) error {
	if len(*into) > 0 {
		return d.Errf("%s is given twice", d.Val())
	}
	if *into = d.RemainingArgs(); len(*into) == 0 {
		return d.ArgErr()
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*App)(nil)
