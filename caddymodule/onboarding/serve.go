// This file holds the way of a request: which of the page's answers it gets.

package onboarding

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// tokenParam is the parameter of the link that an owner is sent (the contract, section 6).
const tokenParam = "registerToken"

// maxToken bounds a register token, in bytes; it has 16.
const maxToken = 64

// Handles tells whether a request is the page's to answer: all are until the
// instance is onboarded, and the link that led there is afterwards. It
// allocates nothing for a request without the link's parameter.
func (p *Page) Handles(r *http.Request, inst Instance) bool {
	return !inst.Onboarded || isLink(r, inst)
}

// Serve answers a request that Handles is true for. client is the visitor's
// own address, behind proxies too; requests without a valid one share one limit.
//
// The visitor is always answered. An error says that the connection failed, or
// the backend did; it is for the log, and holds no secret that the backend's
// own errors do not.
func (p *Page) Serve(w http.ResponseWriter, r *http.Request, inst Instance, client netip.Addr) error {
	v := p.visit(w, r, inst)
	switch {
	case r.URL.Path == "/robots.txt" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return p.pages.WriteRobots(w, r)
	case isLink(r, inst):
		return v.link(client)
	case inst.Onboarded: // not ours; nothing better can be said of it
		return v.notFound()
	}
	return v.tell(notOnboarded)
}

// isLink tells whether a request is for the link that an owner was sent.
func isLink(r *http.Request, inst Instance) bool {
	return r.URL.Path == "/" && !inst.App && strings.Contains(r.URL.RawQuery, tokenParam) && r.URL.Query().Has(tokenParam)
}

// link answers a request for the link.
func (v *visit) link(client netip.Addr) error {
	read := v.r.Method == http.MethodGet || v.r.Method == http.MethodHead
	switch {
	case !read && v.r.Method != http.MethodPost:
		v.w.Header().Set("Allow", "GET, HEAD, POST")
		return v.tell(methodNotAllowed)
	case v.inst.Onboarded && read:
		return v.leave()
	case v.inst.Onboarded:
		// To say that all is well would be a lie to an owner whose link was
		// used by somebody else while they typed.
		return v.tell(linkInvalid)
	case read && v.as != formHTML:
		// A form in JSON or in text is none, so a program learns what it would elsewhere.
		return v.tell(notOnboarded)
	case !read && crossSite(v.r, v.secure):
		return v.tell(crossSiteForm)
	}
	if retry, ok := v.page.allow(v.inst, client); !ok {
		v.retryAfter(retry)
		return v.tell(tooManyRequests)
	}
	token, ok := tokenOf(v.r.URL)
	if !ok {
		return v.tell(linkInvalid)
	}
	v.token = token
	switch ok, err := v.page.backend.CheckToken(v.r.Context(), v.inst.ID, token); {
	case errors.Is(err, tenancy.ErrNotFound):
		return v.notFound()
	case err != nil:
		v.retryAfter(unavailableRetry)
		return errors.Join(fmt.Errorf("checking a register token: %w", err), v.tell(unavailable))
	case !ok:
		return v.tell(linkInvalid)
	case read:
		return v.form(http.StatusOK, problem{})
	}
	return v.submit()
}

// tokenOf reads the one token of a link, in hexadecimal digits.
func tokenOf(u *url.URL) ([]byte, bool) {
	values := u.Query()[tokenParam]
	if len(values) != 1 || values[0] == "" || len(values[0]) > 2*maxToken {
		return nil, false
	}
	token, err := hex.DecodeString(values[0])
	return token, err == nil
}

// leave sends the visitor to the instance, whose upstream answers from now on.
func (v *visit) leave() error {
	h := v.headers(cspNothing)
	h.Set("Location", "/")
	h.Set("Content-Length", "0")
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// notFound is for an instance that went while its visitor came.
func (v *visit) notFound() error {
	f := pages.Refusal{Code: pages.NotFound, Host: v.inst.Domain, Locale: v.inst.Locale}
	if v.page.support != nil {
		f.Support = v.page.support.Text
	}
	return v.page.pages.Write(v.w, v.r, f)
}
