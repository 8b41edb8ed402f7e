// This file holds the tests of foreign text: reasons, hosts and support addresses that try to be more than text.

package pages_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

func TestReasonsAreShownAsText(t *testing.T) {
	s := builtIn(t)
	long := strings.Repeat("é", 200)
	for _, c := range []struct{ name, reason, want string }{
		{"script", "<script>alert(1)</script>", "<script>alert(1)</script>"},
		{"end of the title", "</title></style><img src=x onerror=alert(1)>", "</title></style><img src=x onerror=alert(1)>"},
		{"quotes", `"' onload=x '"`, `"' onload=x '"`},
		{"an entity", "&lt;b&gt; &amp; &#60;", "&lt;b&gt; &amp; &#60;"},
		{"a template", "{{.Host}}", "{{.Host}}"},
		{"line feeds", "one\r\ntwo\u2028three\ttab", "one two three tab"},
		{"a terminal's escape", "red\x1b[31m\u009b\x00\x7f", "red[31m"},
		{"right-to-left override", "abc\u202edcba\u202c\u2066\u2069", "abcdcba"},
		{"Arabic", "الفاتورة غير مدفوعة", "الفاتورة غير مدفوعة"},
		{"an emoji with joiners", "👩\u200d💻 left", "👩\u200d💻 left"},
		{"broken UTF-8", "a\xff\xfeb", "a\ufffd\ufffdb"},
		{"zero width and private", "a\ufeff\u2060\ue000\uffffb", "ab"},
		{"200 characters", long, long},
		{"201 characters", long + "é", strings.Repeat("é", 199) + "…"},
		{"very many", strings.Repeat("x", 1<<20), strings.Repeat("x", 199) + "…"},
		{"a code in small letters", "payment_failed", "payment_failed"},
		{"the word for no code", "BLOCKED", "BLOCKED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := pages.Refusal{Code: c.reason, Host: "alice.example.com"}
			page := ask(t, s, f, "Accept", "text/html").Body.String()
			if text := visibleText(t, page); !strings.Contains(text, "\n"+c.want+"\n") {
				t.Errorf("the page does not say %q:\n%s", c.want, text)
			}
			if count := elements(t, page); count["script"]+count["img"]+count["b"] != 0 || count["title"] != 1 {
				t.Errorf("elements: %v", count)
			}
			if text := ask(t, s, f, "Accept", "text/plain").Body.String(); !strings.Contains(text, "\nReason: "+c.want+"\n") {
				t.Errorf("the text does not say %q:\n%s", c.want, text)
			}
			if got := decodeError(t, ask(t, s, f, "Accept", typeJSON).Body.Bytes()); got.Code != c.want {
				t.Errorf("the JSON says %q, want %q", got.Code, c.want)
			}
			for _, contentType := range []string{"", "application/grpc"} {
				for name, values := range ask(t, s, f, "Content-Type", contentType).Header() {
					if joined := strings.Join(values, " "); strings.Contains(joined, c.want) || !printable(joined) {
						t.Errorf("header %s: %q", name, joined)
					}
				}
			}
		})
	}
}

func TestReasonsThatAreEmptyMeanUnknown(t *testing.T) {
	for _, reason := range []string{"", "  ", "\r\n", "\u202e\x00"} {
		if got := decodeError(t, ask(t, builtIn(t), pages.Refusal{Code: reason}, "Accept", typeJSON).Body.Bytes()); got.Code != pages.Unknown {
			t.Errorf("%q: %+v", reason, got)
		}
	}
}

func TestHostIsShownAsText(t *testing.T) {
	s := builtIn(t)
	for host, want := range map[string]string{
		"bücher.example":         "bücher.example",
		"例え.テスト:8443":            "例え.テスト:8443",
		"<b>.example":            "<b>.example",
		"a\u202emoc.elpmaxe":     "amoc.elpmaxe",
		"a\r\nSet-Cookie: x=y":   "a Set-Cookie: x=y",
		strings.Repeat("a", 500): strings.Repeat("a", 261) + "…",
	} {
		page := ask(t, s, pages.Refusal{Code: pages.NotFound, Host: host}, "Accept", "text/html").Body.String()
		if text := visibleText(t, page); strings.Count(text, want) != 2 { // title and address
			t.Errorf("%q: the page does not say %q:\n%s", host, want, text)
		}
		if elements(t, page)["b"] != 0 {
			t.Errorf("%q became markup", host)
		}
	}
}

func TestSupport(t *testing.T) {
	s := builtIn(t)
	for _, c := range []struct{ support, href string }{
		{"help@example.com", "mailto:help@example.com"},
		{"a?subject=b&c@example.com", "mailto:a%3Fsubject=b&amp;c@example.com"},
		{"https://example.com/help?a=b&c=d", "https://example.com/help?a=b&amp;c=d"},
		{"https://bücher.example/", "https://b%C3%BCcher.example/"},
		{"http://example.com/", ""},
		{"javascript:alert(1)", ""},
		{"javascript://example.com/%0aalert(1)", ""},
		{"data:text/html,x", ""},
		{"https://user:secret@example.com/", ""},
		{"Help <help@example.com>", ""},
		{"just call us", ""},
		{`"><script>x</script>@example.com`, ""},
	} {
		err := pages.CheckSupport(c.support)
		if (err == nil) != (c.href != "") {
			t.Errorf("CheckSupport(%q) = %v", c.support, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats a password: %v", err)
		}
		page := ask(t, s, pages.Refusal{Support: c.support}, "Accept", "text/html").Body.String()
		if want := `href="` + c.href + `"`; c.href != "" && !strings.Contains(page, want) {
			t.Errorf("%q: no %s in %s", c.support, want, page)
		}
		if c.href == "" && elements(t, page)["a"] != 0 {
			t.Errorf("%q is a link", c.support)
		}
		if !strings.Contains(visibleText(t, page), c.support) {
			t.Errorf("%q is not shown", c.support)
		}
	}
	if err := pages.CheckSupport(""); err != nil {
		t.Errorf("no support address: %v", err)
	}
	if err := pages.CheckSupport("a@b.example\r\nX: y"); err == nil {
		t.Error("a line feed passes")
	}
}

// printable tells whether s may stand in a header.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return utf8.ValidString(s)
}
