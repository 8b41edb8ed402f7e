// Sites: the pages of a handler, by the context of an instance.

package caddymodule

import (
	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// site is how the instances of one context are spoken for.
type site struct {
	support string
	pages   *pages.Set
	onboard *onboarding.Page // nil with `onboarding pass`
}

// with is the site of a context: its own, where it says something.
func (s site) with(c *Context) site {
	if c == nil {
		return s
	}
	if c.Support != "" {
		s.support = c.Support
	}
	if c.pages != nil {
		s.pages = c.pages
	}
	return s
}

// provisionSites makes the sites of all contexts. own is the handler's, which is
// for hosts without an instance as well.
func (h *Handler) provisionSites(own site) error {
	fallback := own.with(h.app.Contexts[lifecycle.DefaultContext])
	h.own, h.fallback, h.sites = &own, &fallback, map[string]*site{}
	for name, c := range h.app.Contexts {
		s := fallback.with(c)
		h.sites[name] = &s
	}
	if h.Onboarding != OnboardingPage {
		return nil
	}
	for _, s := range h.sites {
		if err := h.provisionOnboarding(s); err != nil {
			return err
		}
	}
	return h.provisionOnboarding(h.fallback)
}

// siteOf is the site of an instance, or of none.
func (h *Handler) siteOf(e directory.Entry) *site {
	if e.IsZero() {
		return h.own
	}
	if s, ok := h.sites[e.Context()]; ok {
		return s
	}
	return h.fallback
}
