// This file holds the tests of what each form says, and of the headers around it.

package pages_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

func TestUsualStatusOfEachCode(t *testing.T) {
	s := builtIn(t)
	want := map[string]int{
		pages.PaymentFailed: 402, pages.LoginFailed: 503, pages.Unknown: 503, pages.Importing: 503, pages.Moving: 503,
		pages.Deleting: 410, pages.DeletionFailed: 503, pages.NotFound: 404, pages.Quarantined: 410, pages.NotReady: 503,
		pages.Misdirected: 421, pages.UpstreamFailed: 502, pages.UpstreamTimeout: 504, "Because.": 503, "": 503,
	}
	for _, code := range append(pages.Codes(), "Because.", "") {
		if w := ask(t, s, pages.Refusal{Code: code}); w.Code != want[code] {
			t.Errorf("%q: %d, want %d", code, w.Code, want[code])
		}
		if w := ask(t, s, pages.Refusal{Code: code, Status: 451}); w.Code != 451 {
			t.Errorf("%q: %d, want the caller's 451", code, w.Code)
		}
		for _, status := range []int{-1, 100, 101, 200, 204, 304, 399, 600, 1000} {
			if w := ask(t, s, pages.Refusal{Code: code, Status: status}); w.Code != want[code] {
				t.Errorf("%q with status %d: %d, want %d", code, status, w.Code, want[code])
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	s := builtIn(t)
	w := ask(t, s, pages.Refusal{Code: pages.Unknown, RetryAfter: time.Hour + time.Millisecond, Host: "alice.example.com"},
		"Accept", "text/html", "Accept-Language", "fr")
	for name, want := range map[string]string{
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
		"Referrer-Policy":        "no-referrer",
		"X-Robots-Tag":           "noindex",
		"Retry-After":            "3601",
		"Content-Language":       "fr",
		"Content-Type":           typeHTML,
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := w.Header().Values("Vary"); !slices.Equal(got, []string{"Accept", "Accept-Language"}) {
		t.Errorf("Vary: %q", got)
	}
	csp := w.Header().Get("Content-Security-Policy")
	if want := regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$`); !want.MatchString(csp) {
		t.Errorf("Content-Security-Policy: %s", csp)
	}

	w = ask(t, s, pages.Refusal{Locale: "de"}, "Accept", "text/plain", "Accept-Language", "fr")
	if got := w.Header().Values("Vary"); !slices.Equal(got, []string{"Accept"}) {
		t.Errorf("Vary where the instance decides: %q", got)
	}
	if got := w.Header().Get("Content-Language"); got != "de" {
		t.Errorf("Content-Language: %q", got)
	}
	if _, ok := w.Header()["Retry-After"]; ok {
		t.Error("Retry-After without a duration")
	}
	if got := w.Header().Get("Content-Security-Policy"); strings.Contains(got, "style-src") {
		t.Errorf("Content-Security-Policy of plain text: %s", got)
	}
}

func TestHeadersOfTheUpstreamGo(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Etag", `"a"`)
	w.Header().Set("Content-Length", "3")
	w.Header().Set("Vary", "Origin")
	if err := builtIn(t).Write(w, httptest.NewRequest("GET", "/", nil), pages.Refusal{}); err != nil {
		t.Fatal(err)
	}
	if w.Header().Get("Content-Encoding") != "" || w.Header().Get("Etag") != "" || w.Header().Get("Content-Length") == "3" {
		t.Errorf("stale headers: %v", w.Header())
	}
	if got := w.Header().Values("Vary"); !slices.Equal(got, []string{"Origin", "Accept", "Accept-Language"}) {
		t.Errorf("Vary: %q", got)
	}
}

func TestHTMLSaysEverything(t *testing.T) {
	s := builtIn(t)
	w := ask(t, s, pages.Refusal{Code: pages.PaymentFailed, Host: "alice.example.com", Support: "help@example.com"}, "Accept", "text/html")
	body := w.Body.String()
	text := visibleText(t, body)
	for _, want := range []string{"This site is on hold", "A payment for this site did not go through", "check your payment details", "alice.example.com", "help@example.com", "PAYMENT_FAILED", "402"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page:\n%s", want, text)
		}
	}
	if !strings.Contains(body, `<html lang="en" dir="ltr">`) {
		t.Error("no language or direction")
	}
	if !strings.Contains(body, `<a href="mailto:help@example.com">help@example.com</a>`) {
		t.Error("no link to the support address")
	}
	count := elements(t, body)
	if count["h1"] != 1 || count["main"] != 1 || count["title"] != 1 || count["script"]+count["link"]+count["img"] != 0 {
		t.Errorf("elements: %v", count)
	}
}

func TestNothingEmptyIsShown(t *testing.T) {
	s := builtIn(t)
	w := ask(t, s, pages.Refusal{Code: pages.NotReady}, "Accept", "text/html")
	for _, unwanted := range []string{"<dl", "<dt", "<a ", "Address", "Support"} {
		if strings.Contains(w.Body.String(), unwanted) {
			t.Errorf("%q on a page without facts", unwanted)
		}
	}
	w = ask(t, s, pages.Refusal{Code: pages.NotReady}, "Accept", "text/plain")
	want := "We will be right back\n\nThis service has just started, and is still getting ready.\nPlease reload this page in a minute.\n\nCode: NOT_READY, 503\n"
	if w.Body.String() != want {
		t.Errorf("got %q, want %q", w.Body, want)
	}
}

func TestPlainText(t *testing.T) {
	w := ask(t, builtIn(t), pages.Refusal{Code: "Moved\r\nout\x1b[31m", Host: "bücher.example", Support: "https://example.com/help", Locale: "fr_FR"}, "Accept", "text/plain")
	want := "Ce site est bloqué\n\nSon fournisseur a bloqué l’accès à ce site et en a indiqué le motif.\n" +
		"Si ce site est le vôtre, veuillez contacter votre fournisseur.\n\n" +
		"Motif: Moved out[31m\nAdresse: bücher.example\nAssistance: https://example.com/help\nCode: 503\n"
	if w.Body.String() != want {
		t.Errorf("got %q, want %q", w.Body, want)
	}
}

func TestJSON(t *testing.T) {
	s := builtIn(t)
	for _, accept := range []string{typeJSON, typeJSONAPI} {
		w := ask(t, s, pages.Refusal{Code: pages.PaymentFailed, Locale: "es-MX"}, "Accept", accept)
		want := `{"errors":[{"status":"402","code":"PAYMENT_FAILED","title":"Este sitio está suspendido","detail":"No se ha podido completar un pago de este sitio y, por eso, el acceso está suspendido. Su contenido no se ha eliminado."}]}` + "\n"
		if w.Body.String() != want {
			t.Errorf("%s: got %s, want %s", accept, w.Body, want)
		}
	}
	got := decodeError(t, ask(t, s, pages.Refusal{Code: `He said "no"` + "\n</script>"}, "Accept", typeJSON).Body.Bytes())
	if got.Code != `He said "no" </script>` || got.Status != "503" || got.Title != "This site is blocked" {
		t.Errorf("an operator's reason: %+v", got)
	}
}

func TestRobots(t *testing.T) {
	s := builtIn(t)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		w := httptest.NewRecorder()
		if err := s.WriteRobots(w, httptest.NewRequest(method, "/robots.txt", nil)); err != nil {
			t.Fatal(err)
		}
		status, length, body := 200, "26", ""
		switch method {
		case http.MethodGet:
			body = "User-agent: *\nDisallow: /\n"
		case http.MethodPost:
			status, length = 405, "0"
		}
		if w.Code != status || w.Header().Get("Content-Length") != length || w.Body.String() != body {
			t.Errorf("%s: %d, length %s, %q", method, w.Code, w.Header().Get("Content-Length"), w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", method, w.Header())
		}
	}
}

// failing is a connection that is gone.
type failing struct{ *httptest.ResponseRecorder }

func (failing) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }

func TestWriteTellsThatTheConnectionIsGone(t *testing.T) {
	err := builtIn(t).Write(failing{httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil), pages.Refusal{})
	if err == nil {
		t.Error("no error")
	}
}

func BenchmarkWrite(b *testing.B) {
	s := builtIn(b)
	f := pages.Refusal{Code: pages.PaymentFailed, Host: "alice.example.com", Support: "help@example.com", Locale: "fr"}
	for _, accept := range []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", typeJSON, "text/plain"} {
		b.Run(accept[:9], func(b *testing.B) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept", accept)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := &discard{header: make(http.Header, 16)} // the server's, and none of ours
				for pb.Next() {
					clear(w.header)
					if err := s.Write(w, r, f); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
