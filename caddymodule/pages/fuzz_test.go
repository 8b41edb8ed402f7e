// This file holds the fuzz target: whatever a client or an operator writes, the answer is whole and well-formed.

package pages_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

func FuzzWrite(f *testing.F) {
	for _, seed := range [][5]string{
		{"text/html,*/*;q=0.8", "fr-CH, fr;q=0.9", "<script>", "alice.example.com", "help@example.com"},
		{"application/json;q=\"0.5\",,", "*", "a\x1b\u202e\r\n\"", "\xff", "https://example.com/?a=\"><b>"},
		{"*;q=.2", "en;q=0", pages.PaymentFailed, "例え.テスト", "javascript:alert(1)"},
		{`a/b;c="d\",*/*`, "zh-Hant-x-y_z", "{{.}}", "", "a@"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], "fr_FR", 402)
	}
	s := builtIn(f)
	f.Fuzz(func(t *testing.T, accept, language, reason, host, support, locale string, status int) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Accept"] = []string{accept}
		r.Header["Accept-Language"] = []string{language}
		w := httptest.NewRecorder()
		refusal := pages.Refusal{Code: reason, Host: host, Support: support, Locale: locale, Status: status}
		if err := s.Write(w, r, refusal); err != nil {
			t.Fatal(err)
		}
		body := w.Body.Bytes()
		if w.Code < 400 || w.Code > 599 || !utf8.Valid(body) || len(body) == 0 {
			t.Fatalf("%d %q", w.Code, body)
		}
		if length := w.Header().Get("Content-Length"); length != strconv.Itoa(len(body)) {
			t.Fatalf("Content-Length %s for %d bytes", length, len(body))
		}
		for name, values := range w.Header() {
			for _, value := range values {
				if !printable(value) {
					t.Fatalf("%s: %q", name, value)
				}
			}
		}
		if lang := w.Header().Get("Content-Language"); !slices.Contains([]string{"en", "fr", "es", "de", "nl", "ja"}, lang) {
			t.Fatalf("Content-Language %s", lang)
		}
		switch contentType := w.Header().Get("Content-Type"); contentType {
		case typeHTML:
			count := elements(t, string(body))
			if count["script"]+count["img"]+count["b"] != 0 || count["style"] != 1 || count["h1"] != 1 || count["a"] > 1 || count["html"] != 1 {
				t.Fatalf("elements %v in %q", count, body)
			}
			if !bytes.HasSuffix(body, []byte("</html>\n")) {
				t.Fatalf("the page ends early: %q", body)
			}
		case typeJSON, typeJSONAPI:
			if got := decodeError(t, body); !json.Valid(body) || got.Code == "" || utf8.RuneCountInString(got.Code) > 200 {
				t.Fatalf("%q", body)
			}
		case typeText:
			if i := bytes.IndexFunc(body, func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == '\u202e' }); i >= 0 {
				t.Fatalf("a control character at %d in %q", i, body)
			}
		default:
			t.Fatalf("Content-Type %s", contentType)
		}
	})
}
