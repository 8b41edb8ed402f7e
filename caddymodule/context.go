// Context: what instances of one context have in common, in the configuration.

package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/text/language"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// Context is what instances of one context have in common. What is left out is
// taken from the context `default`, which is also that of instances without a
// context and of those whose context is not configured.
type Context struct {
	// The locale of new instances that ask for none. Default: en.
	Locale string `json:"locale,omitempty"`

	// The apps of new instances that ask for none, each with its channel where that
	// is not stable: drive, photos/beta. An empty list is no app.
	Apps []string `json:"apps,omitempty"`

	// The URLs of registries of apps, in the order in which they are asked.
	Registries []string `json:"registries,omitempty"`

	// Whether new instances get directories for photos and the like. Default: true.
	Directories *bool `json:"directories,omitempty"`

	// The quota of new instances that ask for none, in bytes. Default: no quota.
	DiskQuota int64 `json:"disk_quota,omitempty"`

	// Where requests of its instances go, as `dynamic tenancy` of reverse_proxy has
	// it: host:port, or unix//path.
	Upstreams []string `json:"upstreams,omitempty"`

	// An e-mail address or an https URL that the pages show. Default: the handler's.
	Support string `json:"support,omitempty"`

	// A folder with templates, locales or a stylesheet. Default: the handler's.
	Pages string `json:"pages,omitempty"`

	pages   *pages.Set // of the folder; nil without one
	written bool       // by a block of a Caddyfile
}

// Limits of a context, beside which a configuration is a mistake.
const (
	maxContextName = 1024 // bytes, as that of an instance's own field
	maxContextList = 100
)

// appName is an app with a channel or a version, or without.
var appName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,99}(/[A-Za-z0-9][A-Za-z0-9.+-]{0,99})?$`)

// provisionContexts checks the contexts, and reads their folders of pages.
func (a *App) provisionContexts() error {
	for _, name := range slices.Sorted(maps.Keys(a.Contexts)) {
		if name == "" || len(name) > maxContextName {
			return fmt.Errorf("context: a name has 1 to %d bytes", maxContextName)
		}
		if a.Contexts[name] == nil { // null in JSON
			a.Contexts[name] = new(Context)
		}
		if err := a.Contexts[name].provision(); err != nil {
			return fmt.Errorf("context %s: %w", name, err)
		}
	}
	return nil
}

func (c *Context) provision() (err error) {
	repl := caddy.NewReplacer()
	if c.Locale != "" {
		if _, err := language.Parse(c.Locale); err != nil {
			return errors.New("locale: is not a language tag, as in en, fr or pt-BR")
		}
	}
	if len(c.Apps) > maxContextList {
		return fmt.Errorf("apps: are more than %d", maxContextList)
	}
	for i, app := range c.Apps {
		if !appName.MatchString(app) {
			return fmt.Errorf("apps: %q is not an app's name, as in drive or photos/beta", app)
		}
		if slices.Contains(c.Apps[:i], app) {
			return fmt.Errorf("apps: %s is given twice", app)
		}
	}
	if len(c.Registries) > maxContextList {
		return fmt.Errorf("registries: are more than %d", maxContextList)
	}
	for i, u := range c.Registries {
		if c.Registries[i], err = parseRegistry(repl.ReplaceAll(u, "")); err != nil {
			return fmt.Errorf("registries: URL %d %w", i+1, err)
		}
	}
	if c.DiskQuota < 0 {
		return errors.New("disk_quota: is a number of bytes from 0 on")
	}
	if c.Upstreams, err = parseUpstreams(c.Upstreams); err != nil {
		return fmt.Errorf("upstreams: %w", err)
	}
	c.Support = repl.ReplaceAll(c.Support, "")
	if err := pages.CheckSupport(c.Support); err != nil {
		return fmt.Errorf("support: %w", err)
	}
	if folder := repl.ReplaceAll(c.Pages, ""); folder != "" {
		if c.pages, err = pages.New(folder); err != nil {
			return fmt.Errorf("pages: %w", err)
		}
	}
	return nil
}

// parseRegistry is a registry's URL without the slash at its end. The error
// never repeats it.
func parseRegistry(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil: // url.Error repeats its input
		return "", errors.New("cannot be read; it has the form https://registry.example")
	case u.User != nil:
		return "", errors.New("holds a user name or password, which the configuration would show; registries are asked without")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("is not of the form https://registry.example")
	}
	return strings.TrimRight(s, "/"), nil
}

// validateContexts refuses apps that no new instance could get.
func (a *App) validateContexts() error {
	fallback := a.Contexts[lifecycle.DefaultContext]
	for _, name := range slices.Sorted(maps.Keys(a.Contexts)) {
		c := a.Contexts[name]
		if len(c.Apps) == 0 {
			continue
		}
		if a.Files == "" {
			return fmt.Errorf("context %s: apps: cannot be installed without a place for their files; write it as\n\tfiles file:///var/lib/cozy", name)
		}
		if len(c.Registries) == 0 && (fallback == nil || len(fallback.Registries) == 0) {
			return fmt.Errorf("context %s: apps: cannot be installed without a registry; write it as\n\tregistry %s https://registry.example", name, name)
		}
	}
	return nil
}

// lifecycle is what changes need of the contexts.
func (c *Context) lifecycle() lifecycle.Context {
	return lifecycle.Context{
		Locale: c.Locale, Apps: c.Apps, Registries: c.Registries, Directories: c.Directories, DiskQuota: c.DiskQuota,
	}
}
