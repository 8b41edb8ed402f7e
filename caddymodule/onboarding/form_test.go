// This file holds the tests of the way through: the link, the form, and what is wrong with a password.

package onboarding_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func TestAnOwnerChoosesAPassword(t *testing.T) {
	t.Parallel()
	p := newPlane()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: p}))
	w := b.choose(password, password)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" || w.Body.Len() != 0 {
		t.Errorf("%d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	if b.err != nil {
		t.Error(b.err)
	}
	if p.onboarded("alice") != password {
		t.Error("another password was set")
	}
	if c := w.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 || c[0].Value != "" {
		t.Errorf("the cookie stays: %v", c)
	}

	// The link was for once: while this front door has not heard of it, and afterwards.
	if w := b.get(link); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "LINK_INVALID") {
		t.Errorf("the used link: %d", w.Code)
	}
	b.inst.Onboarded = true
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if w := b.send(method, link, ""); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
			t.Errorf("the link of an onboarded instance: %d to %q", w.Code, w.Header().Get("Location"))
		}
	}
	if w := b.send(http.MethodPost, link, "passphrase=another+good+one"); w.Code != http.StatusForbidden || p.onboarded("alice") != password {
		t.Errorf("a second form: %d", w.Code)
	}
}

func TestTheForm(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: newPlane(), Support: "help@example.com"}))
	w := b.get(link)
	if w.Code != http.StatusOK {
		t.Fatal(w.Code)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Content-Language": "en", "Cache-Control": "no-store",
		"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; script-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; frame-ancestors 'none'; form-action 'self' https:$`)
	if csp := w.Header().Get("Content-Security-Policy"); !policy.MatchString(csp) {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	c := cookies[0]
	if c.Name != "__Host-gatehouse-onboarding" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 3600 {
		t.Errorf("cookie %v", c)
	}
	for _, id := range []string{"passphrase", "repeat"} {
		input := find(t, w, id)
		if attr(input, "type") != "password" || attr(input, "autocomplete") != "new-password" {
			t.Errorf("%s: %v", id, input.Attr)
		}
		for _, by := range strings.Fields(attr(input, "aria-describedby")) {
			find(t, w, by)
		}
	}
	for _, text := range []string{"Alice Martin", "alice.example.com", "mailto:help@example.com", `<html lang="en" dir="ltr">`} {
		if !strings.Contains(w.Body.String(), text) {
			t.Errorf("%q is not on the page", text)
		}
	}
	// Without the script there is nothing that only it can do.
	for _, id := range []string{"show", "meter"} {
		if !slices.ContainsFunc(find(t, w, id).Attr, func(a html.Attribute) bool { return a.Key == "hidden" }) {
			t.Errorf("%s shows without the script", id)
		}
	}
	head := b.send(http.MethodHead, link, "")
	if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != w.Header().Get("Content-Length") {
		t.Errorf("HEAD: %d, %d bytes, length %s", head.Code, head.Body.Len(), head.Header().Get("Content-Length"))
	}
}

func TestOverHTTPTheCookieHasAPlainName(t *testing.T) {
	t.Parallel()
	p := newPlane()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: p}))
	w := b.get(strings.Replace(link, "https:", "http:", 1))
	if c := w.Result().Cookies(); len(c) != 1 || c[0].Name != "gatehouse-onboarding" || c[0].Secure || c[0].SameSite != http.SameSiteStrictMode {
		t.Errorf("cookies %v", c)
	}
	_, values := b.fill(w, password, password)
	// A browser that is too old for Sec-Fetch-Site, or not at a trustworthy address.
	w = b.send(http.MethodPost, strings.Replace(link, "https:", "http:", 1), values.Encode(), "Sec-Fetch-Site", "")
	if w.Code != http.StatusSeeOther || p.onboarded("alice") != password {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSecureIsTheCallersToSay(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{
		Backend: newPlane(), Secure: func(r *http.Request) bool { return r.Header.Get("X-Proto") == "https" },
	}))
	w := b.get(strings.Replace(link, "https:", "http:", 1), "X-Proto", "https")
	if c := w.Result().Cookies(); len(c) != 1 || c[0].Name != "__Host-gatehouse-onboarding" || !c[0].Secure {
		t.Errorf("cookies %v", c)
	}
}

// TestPasswordsThatAreNotTaken: by a field, with its error tied to it, and never echoed.
func TestPasswordsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	p := newPlane()
	page := newPage(t, onboarding.Options{Backend: p, HostLimit: onboarding.Limit{Burst: 1000, Every: time.Second}, AddressLimit: onboarding.Limit{Burst: 1000, Every: time.Second}})
	for _, c := range []struct{ name, password, repeat, field, code, text string }{
		{"none", "", "", "passphrase", "PASSWORD_EMPTY", "Please enter a password"},
		{"short", "x7#Qp9!", "x7#Qp9!", "passphrase", "PASSWORD_SHORT", "too short"},
		{"short in many bytes", "ぱすわーど", "ぱすわーど", "passphrase", "PASSWORD_SHORT", "too short"},
		{"too long", strings.Repeat("long ", 205), strings.Repeat("long ", 205), "passphrase", "PASSWORD_LONG", "too long"},
		{"no text", "kettle orbit \xff seldom", "kettle orbit \xff seldom", "passphrase", "PASSWORD_REFUSED", "cannot be used"},
		{"common", "Password", "Password", "passphrase", "PASSWORD_COMMON", "Too many people"},
		{"common in disguise", "!P4ssw0rd2026!", "!P4ssw0rd2026!", "passphrase", "PASSWORD_COMMON", "Too many people"},
		{"digits", "123456789", "123456789", "passphrase", "PASSWORD_COMMON", "Too many people"},
		{"the domain", "alice.example.com", "alice.example.com", "passphrase", "PASSWORD_SITE", "the name of the site"},
		{"a label", "EXAMPLE-2026", "EXAMPLE-2026", "passphrase", "PASSWORD_SITE", "the name of the site"},
		{"the owner", "alicemartin99", "alicemartin99", "passphrase", "PASSWORD_SITE", "the name of the site"},
		{"one letter", "aaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaa", "passphrase", "PASSWORD_EASY", "too easy"},
		{"the alphabet", "ghijklmnopqrstuv", "ghijklmnopqrstuv", "passphrase", "PASSWORD_EASY", "too easy"},
		{"names and years", "alice martin 1984 2026", "alice martin 1984 2026", "passphrase", "PASSWORD_EASY", "too easy"},
		{"another the second time", password, password + "x", "repeat", "PASSWORD_DIFFERS", "not the same"},
		{"none the second time", password, "", "repeat", "PASSWORD_DIFFERS", "not the same"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t, page)
			w := b.choose(c.password, c.repeat)
			if w.Code != http.StatusUnprocessableEntity {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if got := textOf(find(t, w, c.field+"-error")); !strings.Contains(got, c.text) {
				t.Errorf("the field says %q, want %q", got, c.text)
			}
			input := find(t, w, c.field)
			if attr(input, "aria-invalid") != "true" || !strings.Contains(attr(input, "aria-describedby"), c.field+"-error") {
				t.Errorf("the error is not tied to its field: %v", input.Attr)
			}
			if !slices.ContainsFunc(input.Attr, func(a html.Attribute) bool { return a.Key == "autofocus" }) {
				t.Error("the field does not have the focus")
			}
			notEchoed(t, w, c.password)
			b.fill(w, "", "") // both are there again, and empty

			_, values := b.fill(b.get(link), c.password, c.repeat)
			w = b.send(http.MethodPost, link, values.Encode(), "Accept", jsonAPI)
			got := decodeError(t, w)
			if w.Code != http.StatusUnprocessableEntity || got.Code != c.code || got.Status != "422" || got.Source.Parameter != c.field || !strings.Contains(got.Detail, c.text) {
				t.Errorf("JSON: %d %+v", w.Code, got)
			}
			notEchoed(t, w, c.password)
			w = b.send(http.MethodPost, link, values.Encode(), "Accept", "text/plain")
			if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), c.text) || !strings.Contains(w.Body.String(), "Code: "+c.code+", 422\n") {
				t.Errorf("text: %d %s", w.Code, w.Body)
			}
		})
	}
	t.Cleanup(func() {
		if p.onboards != 0 {
			t.Errorf("the control plane was asked %d times", p.onboards)
		}
	})
}

// notEchoed checks that nothing of the answer is the password. The site's own names stand on the page.
func notEchoed(t *testing.T, w *httptest.ResponseRecorder, password string) {
	t.Helper()
	if password == "" || password == alice.Domain || password == "Password" || password == "123456789" {
		return
	}
	if strings.Contains(w.Body.String(), password) {
		t.Error("the answer repeats the password")
	}
}

func TestThePlaneRefusesAPassphrase(t *testing.T) {
	t.Parallel()
	p := newPlane()
	p.err = &tenancy.FieldError{Field: "Passphrase", Problem: "internal words"}
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: p}))
	w := b.choose(password, password)
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(textOf(find(t, w, "passphrase-error")), "cannot be used") || strings.Contains(w.Body.String(), "internal") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestForeignTextIsEscapedAndBounded(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: newPlane()}))
	b.inst.PublicName = `"><script>alert(1)</script>` + "\u202e\x00\r\n" + strings.Repeat("x", 1<<20)
	w := b.get(link)
	body := w.Body.String()
	if strings.Contains(body, "<script>alert") || strings.ContainsAny(body, "\u202e\x00") || len(body) > 40<<10 {
		t.Errorf("%d bytes with the name in them", len(body))
	}
	if textOf(find(t, w, "form")) == "" {
		t.Error("no form")
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	page := newPage(t, onboarding.Options{Backend: newPlane()})
	for _, c := range []struct{ locale, accept, lang, title, vary string }{
		{"fr", "de", "fr", "Choisissez votre mot de passe", "Accept"},
		{"fr_FR.UTF-8", "de", "fr", "Choisissez votre mot de passe", "Accept"},
		{"es-MX", "", "es", "Elija su contraseña", "Accept"},
		{"", "de-AT, en;q=0.5", "de", "Wählen Sie Ihr Passwort", "Accept Accept-Language"},
		{"xx", "nl", "nl", "Kies uw wachtwoord", "Accept Accept-Language"},
		{"", "ja", "ja", "パスワードを設定してください", "Accept Accept-Language"},
		{"not a locale", strings.Repeat("x,", 1000), "en", "Choose your password", "Accept Accept-Language"},
	} {
		b := newBrowser(t, page)
		b.inst.Locale = c.locale
		w := b.get(link, "Accept-Language", c.accept)
		if w.Header().Get("Content-Language") != c.lang || !strings.Contains(w.Body.String(), `<html lang="`+c.lang+`"`) || !strings.Contains(w.Body.String(), "<h1>"+c.title+"</h1>") {
			t.Errorf("%q and %q: %s", c.locale, c.accept, w.Header().Get("Content-Language"))
		}
		if got := strings.Join(w.Header().Values("Vary"), " "); got != c.vary {
			t.Errorf("%q and %q: Vary %s", c.locale, c.accept, got)
		}
	}
}
