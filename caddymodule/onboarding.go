// Onboarding: the page on which an owner chooses a password, for upstreams that
// have none (`onboarding page`).

package caddymodule

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// provisionOnboarding makes the page of a site.
func (h *Handler) provisionOnboarding(s *site) (err error) {
	s.onboard, err = onboarding.New(onboarding.Options{
		Backend: onboardingBackend{h.app}, Now: time.Now, Rand: rand.Reader, Pages: s.pages, Support: s.support,
	})
	return err
}

// onboards answers a request that is the page's to answer; false leaves it to the
// next handler.
func (h *Handler) onboards(w http.ResponseWriter, r *http.Request, m directory.Match) bool {
	page := h.siteOf(m.Entry).onboard
	if page == nil {
		return false
	}
	inst := onboarding.Instance{
		ID: m.Entry.ID(), Domain: m.Entry.Domain(), Locale: m.Entry.Locale(), Onboarded: m.Entry.Onboarded(), App: m.Slug != "",
	}
	if !page.Handles(r, inst) {
		return false
	}
	client := clientAddr(r)
	r = r.WithContext(lifecycle.WithOrigin(r.Context(), lifecycle.Origin{Actor: "owner", Address: addressText(client), Via: "onboarding"}))
	if err := page.Serve(w, r, inst, client); err != nil {
		h.logger.Warn("answering an owner who has not chosen a password", zap.String("domain", m.Entry.Domain()), zap.Error(err))
	}
	return true
}

// clientAddr is the visitor's address, behind trusted proxies too; the zero one
// where it is not known.
func clientAddr(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// onboardingBackend is the control plane, as the page sees it.
type onboardingBackend struct{ app *App }

func (b onboardingBackend) CheckToken(ctx context.Context, id string, token []byte) (bool, error) {
	return b.app.Lifecycle().CheckToken(ctx, id, token)
}

// Onboard keeps the store open until it has ended: its context outlives the
// request, and with it the configuration.
func (b onboardingBackend) Onboard(ctx context.Context, id string, token []byte, passphrase string) error {
	defer b.app.Hold()()
	err := b.app.Lifecycle().Onboard(ctx, id, token, passphrase)
	if errors.Is(err, lifecycle.ErrBadToken) {
		return onboarding.ErrToken
	}
	return err
}

// Interface guard
var _ onboarding.Backend = onboardingBackend{}
