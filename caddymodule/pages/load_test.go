// This file holds the tests of an operator's folder: what it overrides, how it is refused, and the fallback.

package pages_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

// load is New for a folder of these files.
func load(t *testing.T, files map[string]string) *pages.Set {
	t.Helper()
	s, err := pages.New(folder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFolderOverridesAnyFile(t *testing.T) {
	s := load(t, map[string]string{
		"refusal.html":                "<!doctype html><title>{{.Title}}</title><style>{{.Style}}</style>ours: {{.Kind}} {{.Reason}}",
		"refusal.PAYMENT_FAILED.html": `<!doctype html><title>pay</title>{{template "mark" .}}please pay at {{with .Support}}{{.Text}}{{end}}`,
		"refusal.txt":                 "{{.Status}} {{.Code}} & {{.Host}}\n",
		"style.css":                   "body { color: teal }\r\n",
		"marks.html":                  `{{define "mark"}}<b>mark</b>{{end}}`,
		"locales/active.fr.toml":      "NOT_FOUND.title = \"Rien à voir\"\n",
		"README":                      "left alone",
		"locales/notes.txt":           "left alone",
	})
	if body := ask(t, s, pages.Refusal{Code: "<Why>"}).Body.String(); body != "<!doctype html><title>This site is blocked</title><style>body { color: teal }\n</style>ours: blocked &lt;Why&gt;" {
		t.Errorf("refusal.html: %s", body)
	}
	if body := ask(t, s, pages.Refusal{Code: pages.PaymentFailed, Support: "a@b.example"}).Body.String(); body != "<!doctype html><title>pay</title><b>mark</b>please pay at a@b.example" {
		t.Errorf("refusal.PAYMENT_FAILED.html: %s", body)
	}
	if body := ask(t, s, pages.Refusal{Code: pages.Moving, Host: "a.example"}, "Accept", "text/plain").Body.String(); body != "503 MOVING & a.example\n" {
		t.Errorf("refusal.txt: %q", body)
	}
	got := decodeError(t, ask(t, s, pages.Refusal{Code: pages.NotFound, Locale: "fr"}, "Accept", typeJSON).Body.Bytes())
	if got.Title != "Rien à voir" || got.Detail != "Nous ne connaissons aucun site à cette adresse." {
		t.Errorf("one message of a language: %+v", got)
	}
}

func TestFolderMayAddALanguage(t *testing.T) {
	// Written by a person who took the French file as the model.
	model, err := os.ReadFile("builtin/locales/active.fr.toml")
	if err != nil {
		t.Fatal(err)
	}
	arabic := strings.ReplaceAll(string(model), "Ce site est suspendu", "هذا الموقع معلّق")
	s := load(t, map[string]string{"locales/active.ar.toml": arabic})
	w := ask(t, s, pages.Refusal{Code: pages.PaymentFailed}, "Accept-Language", "ar-EG, en;q=0.5")
	if !strings.Contains(w.Body.String(), `<html lang="ar" dir="rtl">`) || !strings.Contains(w.Body.String(), "هذا الموقع معلّق") {
		t.Errorf("no Arabic page: %s", w.Body)
	}
}

func TestStyleOfAnOperatorIsAllowedByItsHash(t *testing.T) {
	builtin := ask(t, builtIn(t), pages.Refusal{}).Header().Get("Content-Security-Policy")
	s := load(t, map[string]string{"style.css": "main { background: url(data:image/png;base64,AA==) }\n@font-face { src: url('data:font/woff2;base64,AA==') }"})
	policy := ask(t, s, pages.Refusal{}).Header().Get("Content-Security-Policy")
	if policy == builtin || !strings.Contains(policy, "; img-src data:; font-src data:;") {
		t.Errorf("policy %s", policy)
	}
}

func TestBrokenFoldersAreRefused(t *testing.T) {
	big := strings.Repeat("<!-- big -->", 1<<20/12+1)
	for _, c := range []struct{ name, file, content, want string }{
		{"syntax", "refusal.html", "<p>\n{{if}}", "refusal.html:2:"},
		{"an unknown field", "refusal.html", "<p>\n\n{{.Nothing}}", "refusal.html:3:"},
		{"an unknown function", "refusal.txt", "\n{{shout .Title}}", "refusal.txt:2:"},
		{"an unknown block", "refusal.html", `{{template "footer" .}}`, "refusal.html:1:"},
		{"a field in text", "refusal.txt", "\n\n\n{{.Nothing}}", "refusal.txt:4:"},
		{"only some codes fail", "refusal.html", "\n{{if .Reason}}{{index .Reason 1000}}{{end}}", "refusal.html:2:"},
		{"an open tag", "refusal.html", "<p title=\"{{.Title}}", "refusal.html"},
		{"marks", "marks.html", "{{define \"mark\"}}\n{{.Nothing}}{{end}}", "marks.html:2:"},
		{"no mark", "marks.html", "{{define \"other\"}}{{end}}", "refusal.html:"},
		{"a code page", "refusal.DELETING.html", "\n{{.Nope}}", "refusal.DELETING.html:2:"},
		{"an unknown code", "refusal.PAYMENT.html", "x", "refusal.PAYMENT.html:1: pages of one code"},
		{"a text page of a code", "refusal.MOVING.txt", "x", "refusal.MOVING.txt:1: pages of one code"},
		{"the page of no code", "refusal.BLOCKED.html", "x", "refusal.BLOCKED.html:1:"},
		{"a script", "refusal.html", "<p>\n<script>x</script>", "refusal.html:2: <script: scripts do not run"},
		{"a handler", "refusal.html", "<p>\n\n<p onclick=\"x()\">", "refusal.html:3: onclick: scripts do not run"},
		{"a style attribute", "refusal.html", "<style>{{.Style}}</style>\n<p style=\"color:red\">", "refusal.html:2: style: style attributes have no effect"},
		{"a style of its own", "refusal.html", "<style>b{}</style>", "refusal.html:1: <style: the one style sheet is style.css"},
		{"a picture from outside", "refusal.html", "\n<img src=\"https://example.com/a.png\">", "refusal.html:2: src: nothing is loaded"},
		{"a picture from here", "refusal.html", "<img src=logo.png>", "refusal.html:1: src: nothing is loaded"},
		{"a style sheet from outside", "refusal.html", "<link rel=stylesheet href=/a.css>", "refusal.html:1: href: nothing is loaded"},
		{"svg from outside", "refusal.html", "<svg><use xlink:href='/a.svg#b'/></svg>", "refusal.html:1: xlink:href: nothing is loaded"},
		{"a mark with a handler", "marks.html", "{{define \"mark\"}}\n<svg onload=x></svg>{{end}}", "marks.html:2: onload: scripts do not run"},
		{"a number for a message", "locales/fr.toml", "[label]\naddress = 3", "locales/fr.toml:1: unsupported"},
		{"a form", "refusal.html", "\n<form action=/pay></form>", "refusal.html:2: <form: forms cannot be sent"},
		{"a refresh", "refusal.html", "<meta http-equiv=refresh content=5>", "refusal.html:1: http-equiv: a refresh"},
		{"an import", "style.css", "\n@import url(https://example.com/a.css);", "style.css:2: @import"},
		{"an url", "style.css", "a{}\n\nb{background:url( \"/a.png\")}", "style.css:3: url("},
		{"the end of the style", "style.css", "a{}\n</STYLE><script>", "style.css:2: </style"},
		{"not text", "style.css", "a\n\xff", "style.css:2: this line is not UTF-8 text"},
		{"a NUL", "refusal.txt", "a\n\nb\x00", "refusal.txt:3: this line is not UTF-8 text"},
		{"too large", "refusal.html", big, "refusal.html: it is larger than 1 MiB"},
		{"a large locale", "locales/active.fr.toml", strings.Repeat("#\n", 1<<20), "locales/active.fr.toml: it is larger than 1 MiB"},
		{"toml", "locales/active.fr.toml", "[label]\n= 3", "locales/active.fr.toml:2:"},
		{"a message that nobody asks for", "locales/active.fr.toml", "[label]\naddress = \"A\"\n[PAYMNT_FAILED]\ntitle = \"x\"", `locales/active.fr.toml:4: there is no message "PAYMNT_FAILED.title"`},
		{"an empty message", "locales/active.fr.toml", "[label]\n\naddress = \"\"", "locales/active.fr.toml:3:"},
		{"a message with markup of templates", "locales/active.fr.toml", "[label]\naddress = \"{{.Host}}\"", "locales/active.fr.toml:2:"},
		{"a message with control characters", "locales/active.fr.toml", "[label]\naddress = \"a\\u0007\"", "locales/active.fr.toml:2:"},
		{"half a language", "locales/it.toml", "[label]\naddress = \"Indirizzo\"", "locales/it.toml:1: a language needs every message, and 45 are missing"},
		{"no language", "locales/active.toml", "[label]\naddress = \"A\"", "locales/active.toml:1:"},
		{"nothing in it", "notes.md", "x", "it has none of refusal.html"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, map[string]string{c.file: c.content})
			_, err := pages.New(dir)
			if err == nil {
				t.Fatal("no error")
			}
			if want := "pages folder " + dir + ": " + c.want; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v\nwant %s", err, want)
			}
		})
	}
}

func TestFoldersThatAreNone(t *testing.T) {
	if _, err := pages.New("/does/not/exist"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := pages.New(folder(t, map[string]string{"refusal.html/x": "x"})); err == nil || !strings.Contains(err.Error(), "refusal.html: it is not a regular file") {
		t.Errorf("a folder for a file: %v", err)
	}
}

// What no sample could show fails at a request: the visitor gets the built-in page, the operator an error.
func TestFallback(t *testing.T) {
	s := load(t, map[string]string{
		"refusal.html": "<p>half a page {{slice .Host 0 (len .Host)}} {{if eq .Host \"b.example\"}}{{index .Host 1000}}{{end}}",
		"refusal.txt":  "half a text {{if eq .Host \"b.example\"}}{{index .Host 1000}}{{end}}",
	})
	if body := ask(t, s, pages.Refusal{Host: "a.example"}).Body.String(); !strings.HasPrefix(body, "<p>half a page") {
		t.Errorf("the operator's page is not used: %s", body)
	}
	for accept, want := range map[string]string{"text/html": "<!doctype html>", "text/plain": "This site is not available\n"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		err := s.Write(w, r, pages.Refusal{Host: "b.example"})
		if !errors.Is(err, pages.ErrTemplate) || !strings.Contains(err.Error(), "refusal.") {
			t.Errorf("%s: error %v", accept, err)
		}
		if body := w.Body.String(); w.Code != 503 || !strings.HasPrefix(body, want) || strings.Contains(body, "half") || !strings.Contains(body, "b.example") {
			t.Errorf("%s: %d %s", accept, w.Code, body)
		}
		plain := ask(t, builtIn(t), pages.Refusal{Host: "b.example"}, "Accept", accept)
		if got, want := w.Header().Get("Content-Security-Policy"), plain.Header().Get("Content-Security-Policy"); got != want {
			t.Errorf("%s: policy %s, want that of the built-in page", accept, got)
		}
	}
}

// A folder may go once it is loaded.
func TestFolderIsReadOnce(t *testing.T) {
	dir := folder(t, map[string]string{"refusal.txt": "ours"})
	s, err := pages.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if body := ask(t, s, pages.Refusal{}, "Accept", "text/plain").Body.String(); body != "ours" {
		t.Errorf("got %q", body)
	}
}
