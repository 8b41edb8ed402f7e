// This file holds the tests in a real browser: the way through with a keyboard, with
// scripts and without, and that everything fits.

package onboarding_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// arrive runs actions that send the form, and waits for the page that they lead to.
func (v *window) arrive(actions ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if _, err := chromedp.RunResponse(v.ctx, actions...); err != nil {
		v.t.Fatal(err)
	}
}

// focused is what has the focus: its id, or its text.
func (v *window) focused() string {
	v.t.Helper()
	return evaluate[string](v, `document.activeElement.id || document.activeElement.innerText`)
}

func TestInABrowserByKeyboard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := open(t, s)
	v.do(screen(1280, 900, "light"), chromedp.Navigate(s.link()))
	if name := evaluate[string](v, `["passphrase", "repeat", "reveal"].map(id => document.getElementById(id).labels[0].innerText.trim()).join("|")`); name != "New password|The same password again|Show the passwords" {
		t.Errorf("labels: %s", name)
	}
	for _, want := range []string{"passphrase", "repeat", "reveal", "submit", "help@example.com"} {
		v.do(chromedp.KeyEvent(kb.Tab))
		if got := v.focused(); got != want {
			t.Errorf("Tab leads to %q, want %q", got, want)
		}
		if style := evaluate[string](v, `getComputedStyle(document.activeElement).outlineStyle`); style != "solid" {
			t.Errorf("the focus on %s does not show: %s", want, style)
		}
	}
	v.do(chromedp.Focus("#passphrase"))
	level := `document.getElementById("strength").innerText`
	for _, step := range []struct{ keys, want string }{
		{"alice", "Strength: too easy to guess"}, {" kettle", "Strength: too easy to guess"}, {" orbit", "Strength: fair"},
		{" seldom", "Strength: good"}, {" vinegar 7!", "Strength: very good"},
	} {
		v.do(chromedp.KeyEvent(step.keys))
		if got := evaluate[string](v, level); got != step.want {
			t.Errorf("after %q: %q, want %q", step.keys, got, step.want)
		}
	}
	const chosen = "alice kettle orbit seldom vinegar 7!"
	types := `document.getElementById("passphrase").type + " " + document.getElementById("repeat").type`
	v.do(chromedp.KeyEvent(kb.Tab+chosen), chromedp.KeyEvent(kb.Tab))
	if got := evaluate[string](v, types); got != "password password" {
		t.Errorf("before the switch: %s", got)
	}
	v.do(chromedp.KeyEvent(" "))
	if got := evaluate[string](v, types); got != "text text" {
		t.Errorf("the passwords do not show: %s", got)
	}
	v.silent()
	v.arrive(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	if got := evaluate[string](v, `location.pathname + location.search + " " + document.title`); got != "/ Upstream" {
		t.Errorf("arrived at %s", got)
	}
	if got := s.plane.onboarded("alice"); got != chosen {
		t.Errorf("the password set is another one: %d characters", len(got))
	}
	// The link leads on from now on.
	v.do(chromedp.Navigate(s.link()))
	if got := evaluate[string](v, `location.pathname + location.search + " " + document.title`); got != "/ Upstream" {
		t.Errorf("the used link leads to %s", got)
	}
	v.silent()
}

func TestInABrowserTheScriptHelps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := open(t, s)
	v.do(screen(320, 700, "dark"), chromedp.Navigate(s.link()))
	failure := func() string {
		return evaluate[string](v, `(() => { const e = document.getElementById("repeat-error"); return e.hidden ? "" : e.innerText; })()`)
	}
	v.do(chromedp.SendKeys("#passphrase", password), chromedp.SendKeys("#repeat", "kettle"))
	if got := failure(); got != "" {
		t.Errorf("on the way: %q", got)
	}
	v.do(chromedp.SendKeys("#repeat", "x"))
	if got := failure(); !strings.Contains(got, "not the same") {
		t.Errorf("where they part: %q", got)
	}
	v.do(chromedp.SendKeys("#repeat", kb.Backspace))
	if got := failure(); got != "" {
		t.Errorf("where they agree again: %q", got)
	}
	v.do(chromedp.Click("#submit"))
	if got := failure(); !strings.Contains(got, "not the same") || v.focused() != "repeat" {
		t.Errorf("sending half of it: %q, focus on %s", got, v.focused())
	}
	if s.plane.onboarded("alice") != "" {
		t.Error("it was sent")
	}

	// Once it is on its way a second click sends nothing, and a page that comes back works again.
	v.do(chromedp.SendKeys("#repeat", password[len("kettle"):]))
	states := evaluate[[]bool](v, `(() => {
		const form = document.getElementById("form"), submit = document.getElementById("submit"), states = [];
		form.dispatchEvent(new Event("submit", {cancelable: true}));
		states.push(submit.disabled);
		window.dispatchEvent(new Event("pageshow"));
		states.push(submit.disabled);
		return states;
	})()`)
	if !slices.Equal(states, []bool{true, false}) {
		t.Errorf("the button is disabled: %v", states)
	}
	v.silent()
	v.arrive(chromedp.Click("#submit"))
	if got := s.plane.onboarded("alice"); got != password {
		t.Errorf("the password set is another one: %d characters", len(got))
	}
}

func TestInABrowserWithoutScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := open(t, s)
	v.do(screen(320, 900, "light"), scripts(false), chromedp.Navigate(s.link()))
	visible := `["meter", "show", "passphrase-error", "repeat-error", "passphrase", "submit"].filter(id => document.getElementById(id).offsetParent).join()`
	if got := evaluate[string](v, visible); got != "passphrase,submit" {
		t.Errorf("visible: %s", got)
	}
	for _, c := range []struct{ passphrase, repeat, field, want string }{
		{password, password + "x", "repeat", "not the same"},
		{"P4ssw0rd!", "P4ssw0rd!", "passphrase", "Too many people"},
	} {
		v.arrive(chromedp.SendKeys("#passphrase", c.passphrase), chromedp.SendKeys("#repeat", c.repeat+kb.Enter))
		if got := evaluate[string](v, fmt.Sprintf("document.getElementById(%q).innerText", c.field+"-error")); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
		if got := v.focused(); got != c.field {
			t.Errorf("the focus is on %s", got)
		}
		if got := evaluate[string](v, `document.getElementById("passphrase").value + document.getElementById("repeat").value`); got != "" {
			t.Error("the fields are filled in")
		}
	}
	v.arrive(chromedp.SendKeys("#passphrase", password), chromedp.SendKeys("#repeat", password+kb.Enter))
	if got := evaluate[string](v, "document.title"); got != "Upstream" || s.plane.onboarded("alice") != password {
		t.Errorf("arrived at %s", got)
	}
}

// TestInABrowserTheUpstreamLeadsElsewhere: the policy of the form holds for where its answer leads, too.
func TestInABrowserTheUpstreamLeadsElsewhere(t *testing.T) {
	t.Parallel()
	referer := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			referer <- r.Referer()
		}
		_, _ = w.Write([]byte("<!doctype html><title>Sign in</title><h1>Sign in</h1>"))
	}))
	t.Cleanup(other.Close)
	s := newSite(t)
	s.set(func(s *site) {
		s.upstream = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }
	})
	v := open(t, s)
	v.do(chromedp.Navigate(s.link()), chromedp.SendKeys("#passphrase", password))
	v.arrive(chromedp.SendKeys("#repeat", password+kb.Enter))
	if got := evaluate[string](v, "document.title"); got != "Sign in" {
		t.Errorf("arrived at %s", got)
	}
	if got := <-referer; got != "" {
		t.Errorf("it was told of %s", got)
	}
}

// TestInABrowserEverythingFits: on the smallest screen and a large one, by day and by
// night, in every language.
func TestInABrowserEverythingFits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.set(func(s *site) {
		s.inst.Domain = strings.Repeat("a-very-long-label.", 8) + "example.com"
		s.inst.PublicName = strings.Repeat("Wolfeschlegelsteinhausen", 4)
	})
	v := open(t, s)
	fits := func(where string, width int64) {
		t.Helper()
		if got := evaluate[int64](v, `document.documentElement.scrollWidth`); got > width {
			t.Errorf("%s: %d px wide", where, got)
		}
		for _, cut := range evaluate[[]string](v, `[...document.querySelectorAll("main *")].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && e.tagName !== "INPUT").map(e => e.outerHTML)`) {
			t.Errorf("%s: wider than its place: %s", where, cut)
		}
		// WCAG 2.2, 2.5.8: 24 by 24 pixels.
		for _, small := range evaluate[[]string](v, `[...document.querySelectorAll("input:not([type=hidden]):not([hidden]):not([type=checkbox]), button, label.show")].filter(e => e.offsetParent && (e.offsetHeight < 24 || e.offsetWidth < 24)).map(e => e.outerHTML)`) {
			t.Errorf("%s: too small to hit: %s", where, small)
		}
		v.silent()
	}
	for _, locale := range []string{"en", "fr", "es", "de", "nl", "ja"} {
		s.set(func(s *site) { s.inst.Locale = locale })
		for _, size := range []struct {
			width  int64
			scheme string
		}{{320, "light"}, {1280, "dark"}} {
			if size.width > 320 && locale != "de" && locale != "ja" {
				continue // what fits on the small screen fits there, but for its own layout
			}
			where := fmt.Sprintf("%s at %d px", locale, size.width)
			v.do(screen(size.width, 800, size.scheme), chromedp.Navigate(s.link()))
			fits(where, size.width)
			if lang := evaluate[string](v, "document.documentElement.lang"); lang != locale {
				t.Errorf("%s: lang %q", where, lang)
			}
			// With the longest texts: a level, and both kinds of errors.
			v.do(chromedp.SendKeys("#passphrase", "qwertz"), chromedp.SendKeys("#repeat", "x"))
			fits(where+", typed", size.width)
			v.arrive(chromedp.SendKeys("#repeat", kb.Backspace+"qwertz"+kb.Enter))
			fits(where+", refused", size.width)
			for _, path := range []string{"/", "/?registerToken=00"} {
				v.do(chromedp.Navigate(s.URL + path))
				fits(where+path, size.width)
			}
		}
	}
}

func TestInABrowserDarkIsDark(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := open(t, s)
	for scheme, want := range map[string]string{
		"light": "rgb(244, 245, 247) rgb(255, 255, 255) rgb(255, 255, 255)", "dark": "rgb(17, 21, 27) rgb(26, 32, 41) rgb(18, 23, 30)",
	} {
		v.do(screen(800, 800, scheme), chromedp.Navigate(s.link()))
		got := evaluate[string](v, `["body", "main", "#passphrase"].map(e => getComputedStyle(document.querySelector(e)).backgroundColor).join(" ")`)
		if got != want {
			t.Errorf("%s: %s, want %s", scheme, got, want)
		}
	}
}
