// Caddyfile: `context` and `registry`.

package caddymodule

import (
	"math"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// context is the context of a name, and is made where there is none: a `registry`
// may stand before the block.
func (a *App) context(name string) *Context {
	if a.Contexts == nil {
		a.Contexts = map[string]*Context{}
	}
	c := a.Contexts[name]
	if c == nil {
		c = new(Context)
		a.Contexts[name] = c
	}
	return c
}

func (a *App) parseContext(d *caddyfile.Dispenser) error {
	var name string
	if !d.AllArgs(&name) {
		return d.ArgErr()
	}
	c := a.context(name)
	if c.written {
		return d.Errf("context %s is given twice", name)
	}
	c.written = true
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := c.unmarshalOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Context) unmarshalOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "locale":
		return single(d, &c.Locale)
	case "apps":
		return several(d, &c.Apps)
	case "registry":
		return several(d, &c.Registries)
	case "directories":
		return onOff(d, &c.Directories)
	case "disk_quota":
		return size(d, &c.DiskQuota)
	case "upstream":
		return several(d, &c.Upstreams)
	case "support":
		return single(d, &c.Support)
	case "pages":
		return single(d, &c.Pages)
	default:
		return d.Errf("unrecognized option '%s' (allowed: locale, apps, registry, directories, disk_quota, upstream, support, pages)", option)
	}
}

// parseRegistryLine reads a registry outside of the context's block.
func (a *App) parseRegistryLine(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("registry has the name of a context, then the URLs of registries")
	}
	c := a.context(args[0])
	if len(c.Registries) > 0 {
		return d.Errf("the registries of the context %s are given twice", args[0])
	}
	c.Registries = args[1:]
	return nil
}

func onOff(d *caddyfile.Dispenser, into **bool) error {
	option := d.Val()
	if *into != nil {
		return d.Errf("%s is given twice", option)
	}
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	if text != "on" && text != "off" {
		return d.Errf("%s is on or off, and not '%s'", option, text)
	}
	on := text == "on"
	*into = &on
	return nil
}

// size reads a number of bytes as people write it.
func size(d *caddyfile.Dispenser, into *int64) error {
	option := d.Val()
	if *into != 0 {
		return d.Errf("%s is given twice", option)
	}
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > math.MaxInt64 {
		return d.Errf("%s '%s' is not a size, as in 3GB or 500MB", option, text)
	}
	*into = int64(n)
	return nil
}
