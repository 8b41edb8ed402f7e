// Caddyfile: the global option and the directive `tenancy`.

package caddymodule

import (
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("tenancy", parseGlobal)
	httpcaddyfile.RegisterHandlerDirective("tenancy", parseDirective)
	// Before whatever could answer in an instance's name.
	httpcaddyfile.RegisterDirectiveOrder("tenancy", httpcaddyfile.Before, "redir")
}

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
//		}
//		snapshot <file>|off
//		subdomains nested|flat|off
//		admin_hash <bcrypt hash>
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
		default:
			return d.Errf("unrecognized option '%s' (allowed: store, cluster, snapshot, subdomains, admin_hash)", option)
		}
		if err != nil {
			return err
		}
	}
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

func parseStore(d *caddyfile.Dispenser) (*Store, error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil, d.ArgErr()
	}
	store := &Store{Driver: args[0]}
	switch store.Driver {
	case DriverEmbedded:
		if len(args) != 2 {
			return nil, d.Err("store embedded has one argument, its folder")
		}
		store.Path = args[1]
		return store, nil
	case DriverCouchDB:
		if len(args) < 2 {
			return nil, d.Err("store couchdb has the URLs of the cluster's nodes as arguments")
		}
		store.URLs = args[1:]
		return store, store.unmarshalBlock(d)
	default:
		return nil, d.Errf("store '%s' is not known (allowed: embedded, couchdb)", store.Driver)
	}
}

func parseCluster(d *caddyfile.Dispenser) (Cluster, error) {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return Cluster{}, d.Err("cluster has an index, then the URLs of its nodes (none for 0, the store itself), then perhaps `closed`")
	}
	index, err := strconv.Atoi(args[0])
	if err != nil || index < 0 {
		return Cluster{}, d.Errf("cluster '%s': the index is a number from 0 on", args[0])
	}
	c := Cluster{Index: index}
	c.URLs = args[1:]
	if slices.Contains(c.URLs, "closed") {
		if c.URLs[len(c.URLs)-1] != "closed" {
			return Cluster{}, d.Err("`closed` stands at the end of the line")
		}
		c.Closed, c.URLs = true, c.URLs[:len(c.URLs)-1]
	}
	return c, c.unmarshalBlock(d)
}

func (c *Connection) unmarshalBlock(d *caddyfile.Dispenser) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "username":
			err = single(d, &c.Username)
		case "password":
			err = single(d, &c.Password)
		default:
			err = d.Errf("unrecognized option '%s' (allowed: username, password)", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
		default:
			err = d.Errf("unrecognized option '%s' (allowed: support, pages, unknown)", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
