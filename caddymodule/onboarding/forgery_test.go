// This file holds the tests of forged forms, and of forms that cannot be read.

package onboarding_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
)

// TestForgedForms: whatever does not come from the page itself changes nothing.
func TestForgedForms(t *testing.T) {
	t.Parallel()
	const attacker, expired = "CROSS_SITE", "the form was open for too long"
	for _, c := range []struct {
		name, want string
		headers    []string
		change     func(*browser, url.Values)
	}{
		{"from another site", attacker, []string{"Sec-Fetch-Site", "cross-site"}, nil},
		{"from a neighbour", attacker, []string{"Sec-Fetch-Site", "same-site"}, nil},
		{"from nowhere known", attacker, []string{"Sec-Fetch-Site", "x"}, nil},
		{"of another origin", attacker, []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, nil},
		{"of an app's origin", attacker, []string{"Sec-Fetch-Site", "", "Origin", "https://drive.alice.example.com"}, nil},
		{"of another port", attacker, []string{"Sec-Fetch-Site", "", "Origin", "https://alice.example.com:8443"}, nil},
		{"of plain HTTP", attacker, []string{"Sec-Fetch-Site", "", "Origin", "http://alice.example.com"}, nil},
		{"of no origin at all", attacker, []string{"Sec-Fetch-Site", "", "Origin", "://"}, nil},
		{"without the cookie", expired, []string{"Cookie", ""}, func(b *browser, _ url.Values) { b.jar = noCookies{} }},
		{"with another cookie", expired, nil, func(b *browser, _ url.Values) { b.jar = oneCookie("AAAAAAAAAAAAAAAAAAAAAA") }},
		{"with a cookie that is none", expired, nil, func(b *browser, _ url.Values) { b.jar = oneCookie("!") }},
		{"without a token", expired, nil, func(_ *browser, v url.Values) { v.Del("csrf") }},
		{"with another token", expired, nil, func(_ *browser, v url.Values) { v.Set("csrf", strings.Repeat("A", 43)) }},
		{"with a token that is none", expired, nil, func(_ *browser, v url.Values) { v.Set("csrf", "?") }},
		{"for another instance", expired, nil, func(b *browser, _ url.Values) { b.inst.ID = "bob" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlane()
			p.tokens["bob"] = token // the worst: with the same register token
			b := newBrowser(t, newPage(t, onboarding.Options{Backend: p}))
			_, values := b.fill(b.get(link), password, password)
			if c.change != nil {
				c.change(b, values)
			}
			w := b.send(http.MethodPost, link, values.Encode(), c.headers...)
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if p.onboards != 0 {
				t.Error("the control plane was asked")
			}
			if c.want == expired {
				if _, ok := b.jar.(noCookies); ok {
					return
				}
				// The form is there again, and works.
				if b.inst.ID == "bob" {
					return
				}
				fresh := newBrowser(t, b.page)
				fresh.jar.SetCookies(mustParse(t, link), w.Result().Cookies())
				address, values := fresh.fill(w, password, password)
				if w := fresh.send(http.MethodPost, address, values.Encode()); w.Code != http.StatusSeeOther {
					t.Errorf("the next try: %d", w.Code)
				}
			}
		})
	}
}

func TestGenuineForms(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{
		"of a browser of today":  {"Sec-Fetch-Site", "same-origin"},
		"of a restored page":     {"Sec-Fetch-Site", "none"},
		"with its origin":        {"Sec-Fetch-Site", "", "Origin", "https://Alice.Example.com"},
		"with no origin":         {"Sec-Fetch-Site", "", "Origin", ""},
		"with a charset besides": {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
	} {
		p := newPlane()
		b := newBrowser(t, newPage(t, onboarding.Options{Backend: p}))
		if w := b.choose(password, password, headers...); w.Code != http.StatusSeeOther || p.onboarded("alice") != password {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	// A second window does not spoil the form in the first; nor does another front door.
	p := newPlane()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: p}))
	_, values := b.fill(b.get(link), password, password)
	b.get(link)
	b.page = newPage(t, onboarding.Options{Backend: p})
	if w := b.send(http.MethodPost, link, values.Encode()); w.Code != http.StatusSeeOther {
		t.Errorf("the first window: %d", w.Code)
	}
}

func TestFormsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"too large", "application/x-www-form-urlencoded", "passphrase=" + strings.Repeat("x", 16<<10), http.StatusRequestEntityTooLarge},
		{"of many parts", "multipart/form-data; boundary=x", "--x--", http.StatusUnsupportedMediaType},
		{"JSON", "application/json", "{}", http.StatusUnsupportedMediaType},
		{"of no type", "", "", http.StatusUnsupportedMediaType},
		{"badly escaped", "application/x-www-form-urlencoded", "passphrase=%zz", http.StatusBadRequest},
	} {
		p := newPlane()
		b := newBrowser(t, newPage(t, onboarding.Options{Backend: p}))
		w := b.send(http.MethodPost, link, c.body, "Content-Type", c.contentType)
		if w.Code != c.status || !strings.Contains(w.Body.String(), "BAD_FORM") || p.onboards != 0 {
			t.Errorf("%s: %d", c.name, w.Code)
		}
	}
}

// noCookies is a browser that takes none, and oneCookie one that sends another.
type noCookies struct{}

func (noCookies) SetCookies(*url.URL, []*http.Cookie) {}
func (noCookies) Cookies(*url.URL) []*http.Cookie     { return nil }

type oneCookie string

func (oneCookie) SetCookies(*url.URL, []*http.Cookie) {}
func (c oneCookie) Cookies(*url.URL) []*http.Cookie {
	return []*http.Cookie{{Name: "__Host-gatehouse-onboarding", Value: string(c)}}
}

func mustParse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
