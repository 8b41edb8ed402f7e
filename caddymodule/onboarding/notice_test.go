// This file holds the tests of the notices: other requests, their forms, links that are none.

package onboarding_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
)

type apiError struct {
	Status, Code, Title, Detail string
	Source                      struct{ Parameter string }
}

func decodeError(t testing.TB, w *httptest.ResponseRecorder) apiError {
	t.Helper()
	var document struct{ Errors []apiError }
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil || len(document.Errors) != 1 {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return document.Errors[0]
}

func TestNotOnboarded(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: newPlane(), Support: "https://example.com/help"}))
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		for _, path := range []string{"/", "/files/", "/auth/login?registerToken=" + tokenHex(), "/?registertoken=1"} {
			w := b.send(method, "https://alice.example.com"+path, "")
			if w.Code != http.StatusForbidden {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "text/html; charset=utf-8"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q", name, got)
				}
			}
			if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "script-src") || !strings.Contains(csp, "form-action 'none'") {
				t.Errorf("Content-Security-Policy: %s", csp)
			}
			if len(w.Result().Cookies()) != 0 {
				t.Error("a cookie")
			}
			if method == "HEAD" {
				continue
			}
			for _, text := range []string{"This site is not set up yet", "open the link that you were sent", "NOT_ONBOARDED", "alice.example.com", `href="https://example.com/help"`} {
				if !strings.Contains(w.Body.String(), text) {
					t.Errorf("%q is not on the page", text)
				}
			}
			if strings.Contains(w.Body.String(), "Alice Martin") {
				t.Error("the owner's name is told to everybody")
			}
		}
	}
}

func TestFormsOfANotice(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: newPlane()}))
	for accept, want := range map[string]string{
		html1: "text/html; charset=utf-8", "": "text/html; charset=utf-8", "*/*": "text/html; charset=utf-8",
		jsonAPI: jsonAPI, "application/json": "application/json", "application/json, text/plain, */*": "application/json",
		"text/html;q=0.2, application/vnd.api+json;q=0.9": jsonAPI, "text/*;q=0.5, text/html;q=0": "text/plain; charset=utf-8",
		"image/png": "text/plain; charset=utf-8", "nonsense": "text/plain; charset=utf-8",
		"text/plain," + strings.Repeat("image/x,", 10_000) + "text/html": "text/plain; charset=utf-8", strings.Repeat("x", 10_000): "text/plain; charset=utf-8",
	} {
		if got := b.get("https://alice.example.com/x", "Accept", accept).Header().Get("Content-Type"); got != want {
			t.Errorf("%.40q: %s, want %s", accept, got, want)
		}
	}
	got := decodeError(t, b.get("https://alice.example.com/data/", "Accept", jsonAPI))
	if got.Status != "403" || got.Code != "NOT_ONBOARDED" || got.Title != "This site is not set up yet" || got.Detail == "" {
		t.Errorf("%+v", got)
	}
	// The link is for people.
	if got := decodeError(t, b.get(link, "Accept", jsonAPI)); got.Code != "NOT_ONBOARDED" {
		t.Errorf("%+v", got)
	}
	b.inst.Locale = "fr"
	want := "Ce site n’est pas encore configuré\n\nSon propriétaire n’a pas encore choisi de mot de passe\u00a0: il ne peut donc pas être utilisé.\n" +
		"Si ce site est le vôtre, veuillez ouvrir le lien qui vous a été envoyé. Si vous ne l’avez plus, veuillez contacter votre fournisseur.\n\n" +
		"Adresse: alice.example.com\nCode: NOT_ONBOARDED, 403\n"
	if w := b.get("https://alice.example.com/x", "Accept", "text/plain"); w.Body.String() != want {
		t.Errorf("got %q, want %q", w.Body, want)
	}
}

func TestLinksThatAreNone(t *testing.T) {
	t.Parallel()
	p := newPlane()
	p.tokens["used"] = nil
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: p, AddressLimit: onboarding.Limit{Burst: 1000, Every: time.Second}, HostLimit: onboarding.Limit{Burst: 1000, Every: time.Second}}))
	reference := ""
	for _, value := range []string{
		strings.Repeat("00", 16), tokenHex()[2:], tokenHex() + "00", tokenHex()[1:], "", "zz", tokenHex() + "&registerToken=" + tokenHex(),
		strings.Repeat("ab", 65), strings.Repeat("ab", 100_000), "%00",
	} {
		for _, id := range []string{"alice", "used"} {
			b.inst.ID = id
			for _, w := range []*httptest.ResponseRecorder{
				b.get("https://alice.example.com/?registerToken=" + value),
				b.send(http.MethodPost, "https://alice.example.com/?registerToken="+value, "passphrase=x"),
			} {
				if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "LINK_INVALID") {
					t.Errorf("%.40s: %d", value, w.Code)
				}
				// One answer for all, so that nobody learns how near a guess was.
				if reference == "" {
					reference = w.Body.String()
				} else if w.Body.String() != reference {
					t.Errorf("%.40s of %s: another page", value, id)
				}
			}
		}
	}
	if p.onboards != 0 {
		t.Error("the control plane was asked")
	}
}

func TestOtherMethodsOfTheLink(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: newPlane()}))
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		if w := b.send(method, link, ""); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestAnAppsHostHasNoForm(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: newPlane()}))
	b.inst.App = true
	if w := b.get(link); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "NOT_ONBOARDED") {
		t.Errorf("%d", w.Code)
	}
}

func TestHandles(t *testing.T) {
	t.Parallel()
	page := newPage(t, onboarding.Options{Backend: newPlane()})
	onboarded, app := alice, alice
	onboarded.Onboarded = true
	app.Onboarded, app.App = true, true
	for address, want := range map[string][3]bool{
		"/": {true, false, false}, "/?registerToken=x": {true, true, false}, "/x?registerToken=x": {true, false, false}, "/?x=registerToken": {true, false, false},
	} {
		r := httptest.NewRequest("GET", "https://alice.example.com"+address, nil)
		for i, inst := range []onboarding.Instance{alice, onboarded, app} {
			if got := page.Handles(r, inst); got != want[i] {
				t.Errorf("%s, %d: %v", address, i, got)
			}
		}
	}
	// What is not the page's is nobody's, should it come here all the same.
	w := httptest.NewRecorder()
	if err := page.Serve(w, httptest.NewRequest("GET", "https://alice.example.com/", nil), onboarded, visitor); err != nil || w.Code != http.StatusNotFound {
		t.Errorf("%d, %v", w.Code, err)
	}
}

func TestRobots(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: newPlane()}))
	if w := b.get("https://alice.example.com/robots.txt"); w.Code != http.StatusOK || w.Body.String() != "User-agent: *\nDisallow: /\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	good := onboarding.Options{Backend: newPlane(), Now: time.Now, Rand: rand.Reader}
	for name, change := range map[string]func(*onboarding.Options){
		"no backend": func(o *onboarding.Options) { o.Backend = nil }, "no clock": func(o *onboarding.Options) { o.Now = nil },
		"no randomness": func(o *onboarding.Options) { o.Rand = nil }, "support": func(o *onboarding.Options) { o.Support = "javascript:alert(1)" },
		"a burst of 0": func(o *onboarding.Options) { o.HostLimit.Every = time.Second }, "never": func(o *onboarding.Options) { o.AddressLimit.Burst = 1 },
		"a time-out below 0": func(o *onboarding.Options) { o.Timeout = -1 }, "turns below 0": func(o *onboarding.Options) { o.Concurrent = -1 },
		"too many turns": func(o *onboarding.Options) { o.Concurrent = 1 << 30 },
	} {
		o := good
		change(&o)
		if _, err := onboarding.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := onboarding.New(good); err != nil {
		t.Error(err)
	}
}
