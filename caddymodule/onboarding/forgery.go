// This file holds the defence against forged forms: where a form came from, and its token.

package onboarding

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// The cookie with the form's nonce. Browsers take a name with __Host- only over
// TLS, for the whole site and from no other host of the domain.
const (
	cookieName       = "gatehouse-onboarding"
	secureCookieName = "__Host-" + cookieName
)

const (
	nonceSize = 16 // bytes
	// cookieAge is how long a form may lie open, in seconds.
	cookieAge = 3600
	// maxCookies bounds the look at cookies of one name, of which an honest
	// browser sends one.
	maxCookies = 4
)

// crossSite tells that a form was sent by a page of another site, by what
// browsers say of it themselves: Sec-Fetch-Site, which they send over TLS and
// to localhost, or else Origin (RFC 6454). An Origin of null says nothing: our
// own page sends it too, since its address, which holds the register token, is
// never to be told (Fetch standard, "append a request Origin header"). The
// form's own token decides then.
func crossSite(r *http.Request, secure bool) bool {
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "same-origin", "none": // none: the visitor's own doing, as when a page is restored
		return false
	case "":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" || origin == "null" {
		return false
	}
	u, err := url.Parse(origin)
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return true
	}
	return u.Scheme != "https" && (secure || u.Scheme != "http")
}

// csrfToken is what a form must bring besides the cookie's nonce. Any front
// door of a fleet can check it, since its key is the register token, and whoever
// has that can set the password without forging a form.
func (v *visit) csrfToken(nonce []byte) []byte {
	mac := hmac.New(sha256.New, v.token)
	// The length keeps an id and a nonce from being read as another pair.
	_, _ = fmt.Fprintf(mac, "csrf\x00%d\x00%s", len(v.inst.ID), v.inst.ID)
	mac.Write(nonce)
	return mac.Sum(nil)
}

// genuine tells whether the token of a form is that of a cookie's nonce.
func (v *visit) genuine(token string) bool {
	got, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return false
	}
	for _, nonce := range v.nonces() {
		if hmac.Equal(got, v.csrfToken(nonce)) {
			return true
		}
	}
	return false
}

// nonces are those of the cookies that came.
func (v *visit) nonces() (nonces [][]byte) {
	for i, c := range v.r.CookiesNamed(v.cookieName()) {
		if i == maxCookies {
			break
		}
		nonce, err := base64.RawURLEncoding.DecodeString(c.Value)
		if err == nil && len(nonce) == nonceSize {
			nonces = append(nonces, nonce)
		}
	}
	return nonces
}

// newCSRF sets the cookie and gives the form's token. A nonce that the browser
// has stays, so that a second window does not spoil the form in the first.
func (v *visit) newCSRF() (string, error) {
	var nonce []byte
	if have := v.nonces(); len(have) > 0 {
		nonce = have[0]
	} else {
		nonce = make([]byte, nonceSize)
		if _, err := io.ReadFull(v.page.rand, nonce); err != nil {
			return "", fmt.Errorf("a nonce: %w", err)
		}
	}
	v.setCookie(base64.RawURLEncoding.EncodeToString(nonce), cookieAge)
	return base64.RawURLEncoding.EncodeToString(v.csrfToken(nonce)), nil
}

func (v *visit) dropCookie() { v.setCookie("", -1) }

func (v *visit) setCookie(value string, age int) {
	http.SetCookie(v.w, &http.Cookie{
		Name: v.cookieName(), Value: value, Path: "/", MaxAge: age,
		Secure: v.secure, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

func (v *visit) cookieName() string {
	if v.secure {
		return secureCookieName
	}
	return cookieName
}
