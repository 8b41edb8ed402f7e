// Domain: which names are taken, and that each has one form.

package tenancy_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func mustParse(t testing.TB, s string) tenancy.Domain {
	t.Helper()
	d, err := tenancy.ParseDomain(s)
	if err != nil {
		t.Fatalf("ParseDomain(%q): %v", s, err)
	}
	return d
}

func TestParseDomain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, text, key, host, port, first, parent string }{
		{"alice.example.com", "alice.example.com", "alice.example.com", "alice.example.com", "", "alice", "example.com"},
		{"Alice.EXAMPLE.com", "alice.example.com", "alice.example.com", "alice.example.com", "", "alice", "example.com"},
		{"  alice.example.com. ", "alice.example.com", "alice.example.com", "alice.example.com", "", "alice", "example.com"},
		{"alice.localhost:8090", "alice.localhost:8090", "alice.localhost:8090", "alice.localhost", "8090", "alice", "localhost:8090"},
		{"alice.localhost.:1", "alice.localhost:1", "alice.localhost:1", "alice.localhost", "1", "alice", "localhost:1"},
		{"alice.localhost:65535", "alice.localhost:65535", "alice.localhost:65535", "alice.localhost", "65535", "alice", "localhost:65535"},
		{"localhost", "localhost", "localhost", "localhost", "", "localhost", ""},
		{"1.example.com", "1.example.com", "1.example.com", "1.example.com", "", "1", "example.com"},
		{"a--b.example.com", "a--b.example.com", "a--b.example.com", "a--b.example.com", "", "a--b", "example.com"},
		{"Émile.example.com", "émile.example.com", "xn--mile-9oa.example.com", "xn--mile-9oa.example.com", "", "émile", "example.com"},
		{"xn--mile-9oa.example.com", "émile.example.com", "xn--mile-9oa.example.com", "xn--mile-9oa.example.com", "", "émile", "example.com"},
		{"XN--MILE-9OA.example.com:80", "émile.example.com:80", "xn--mile-9oa.example.com:80", "xn--mile-9oa.example.com", "80", "émile", "example.com:80"},
		{"straße.example", "straße.example", "xn--strae-oqa.example", "xn--strae-oqa.example", "", "straße", "example"},
		{"日本。例え", "日本.例え", "xn--wgv71a.xn--r8jz45g", "xn--wgv71a.xn--r8jz45g", "", "日本", "xn--r8jz45g"},
		{"ａｌｉｃｅ.example", "alice.example", "alice.example", "alice.example", "", "alice", "example"}, // full-width letters
		{strings.Repeat("a", 63) + ".example", strings.Repeat("a", 63) + ".example", strings.Repeat("a", 63) + ".example", strings.Repeat("a", 63) + ".example", "", strings.Repeat("a", 63), "example"},
	} {
		d := mustParse(t, c.in)
		got := [6]string{d.String(), d.Key(), d.Host(), d.Port(), d.FirstLabel(), d.Parent()}
		if want := [6]string{c.text, c.key, c.host, c.port, c.first, c.parent}; got != want {
			t.Errorf("ParseDomain(%q) is %q, want %q", c.in, got, want)
		}
	}
}

func TestParseDomainRefuses(t *testing.T) {
	t.Parallel()
	long := strings.TrimSuffix(strings.Repeat("abcdefg.", 32), ".") // 255 bytes
	for _, s := range []string{
		"", " ", ".", "..", "a..b", ".a", "a.b..", ":", ":80", "a b.c", "a/b", "a,b", "a;b", "a&b", "a?b", "a#b", "a@b", "a|b", "a='b'",
		`a"b`, "a\tb", "a\nb", "a\rb", "a\x00b", "a_b.example.com", "a*b.example.com", "*.example.com", "a%b", "a\\b", "a(b)",
		"-a.example.com", "a-.example.com", "a.-b", "example.com:", "example.com:0", "example.com:65536", "example.com:080",
		"example.com:+80", "example.com:-1", "example.com:80:80", "example.com:http", "example.com:٨", "127.0.0.1", "127.1", "127.0.0.1:80",
		"1.2.3", "[::1]", "::1", "fe80::1%eth0", "example.123", strings.Repeat("a", 64) + ".example", long, strings.Repeat("é", 60) + ".example",
		strings.Repeat("a", 5000), "xn--.example", "xn--a.example", "xn--zzzzzz99999.example", "a\u200db.example", "\u05d0a.example", "a\xff.example", "\xffa", "a\u2028b.example",
		"https://example.com", "user:pass@example.com",
	} {
		_, err := tenancy.ParseDomain(s)
		if err == nil {
			t.Errorf("ParseDomain(%q) takes it", s)
			continue
		}
		var field *tenancy.FieldError
		if !errors.Is(err, tenancy.ErrIllegalDomain) || !errors.As(err, &field) || field.Field != "domain" {
			t.Errorf("ParseDomain(%q): %v (%T)", s, err, err)
		}
	}
	_, err := tenancy.ParseDomainField("OldDomain", "a b")
	var field *tenancy.FieldError
	if !errors.As(err, &field) || field.Field != "OldDomain" {
		t.Errorf("the field of another name: %v", err)
	}
}

// TestParseDomainHints: the answer says what is wrong with the commonest mistakes.
func TestParseDomainHints(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":                               "is empty",
		"a_/b":                           "'/'",
		"example.com:http":               "port",
		"a..b":                           "", // any text
		strings.Repeat("a", 64) + ".com": "63",
		strings.Repeat("abcdefgh.", 32):  "253",
		strings.Repeat("a", 2000):        "253",
		"10.0.0.1":                       "address",
		"-a.com":                         "hyphen",
	} {
		_, err := tenancy.ParseDomain(s)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDomain(%.20q): %v, want %q in it", s, err, want)
		}
	}
}

// TestPrefix: names of databases as a stack makes them.
func TestPrefix(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"alice.localhost:8090": "cozy175bd934f9537894ecdde49452338bdf",
		"bob.localhost:8090":   "cozy19ca2dacaf99949b3920b2841e2147d2",
		"BOB.localhost.:8090":  "cozy19ca2dacaf99949b3920b2841e2147d2",
	} {
		if got := mustParse(t, s).Prefix(); got != want {
			t.Errorf("the prefix of %s is %s, want %s", s, got, want)
		}
	}
	if mustParse(t, "émile.example").Prefix() != mustParse(t, "xn--mile-9oa.example").Prefix() {
		t.Error("two forms of one domain have two prefixes")
	}
}

func TestZeroDomain(t *testing.T) {
	t.Parallel()
	var d tenancy.Domain
	if !d.IsZero() || mustParse(t, "a.b").IsZero() {
		t.Error("IsZero")
	}
	if d.Key() != "" || d.String() != "" || d.Parent() != "" {
		t.Error("the zero value is some domain")
	}
}

// names draws what people type: mostly domains, in any case and script, and mostly valid.
func names() *rapid.Generator[string] {
	label := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?`),
		rapid.StringMatching(`[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?`),
		rapid.StringOfN(rapid.RuneFrom([]rune("aéßÜ日本ñœıİςσẞǆ\u00adａＡ۰०ㅎ가")), 1, 8, -1),
		rapid.StringN(1, 6, -1),
	)
	return rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(label, 1, 5).Draw(t, "labels"), rapid.SampledFrom([]string{".", ".", ".", "。"}).Draw(t, "dot"))
		return s + rapid.SampledFrom([]string{"", "", ".", ":80", ":8080", ".:443", ":65535", ":0"}).Draw(t, "end")
	})
}

// checkDomain are the laws for every domain.
func checkDomain(t interface{ Fatalf(string, ...any) }, s string, d tenancy.Domain) {
	if d.IsZero() {
		t.Fatalf("%q is no domain", s)
	}
	for what, form := range map[string]string{"text": d.String(), "key": d.Key(), "key with a dot": dotted(d)} {
		again, err := tenancy.ParseDomain(form)
		if err != nil || again != d {
			t.Fatalf("%q: its %s %q is another domain: %+v (%v), want %+v", s, what, form, again, err, d)
		}
	}
	for i := range len(d.Key()) {
		if c := d.Key()[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' || c <= ' ' {
			t.Fatalf("%q: its key %q is not lower-case ASCII", s, d.Key())
		}
	}
	if len(d.Host()) > 253 || strings.HasSuffix(d.Host(), ".") || strings.Contains(d.Host(), ":") {
		t.Fatalf("%q: its host is %q", s, d.Host())
	}
	for label := range strings.SplitSeq(d.Host(), ".") {
		if label == "" || len(label) > 63 {
			t.Fatalf("%q: its host %q has a label of %d bytes", s, d.Host(), len(label))
		}
	}
	if strings.ToLower(d.Key()) != d.Key() || !utf8.ValidString(d.String()) {
		t.Fatalf("%q: %q, %q", s, d.Key(), d.String())
	}
	if len(d.Prefix()) != 36 || !strings.HasPrefix(d.Prefix(), "cozy") {
		t.Fatalf("%q: its prefix is %q", s, d.Prefix())
	}
	if p := d.Parent(); p != "" {
		label, _, _ := strings.Cut(d.Host(), ".")
		if label+"."+p != d.Key() {
			t.Fatalf("%q: the parent of %q is %q", s, d.Key(), p)
		}
	}
	checkHostAgrees(t, s, d)
}

// dotted is the key with the root's dot, in capitals.
func dotted(d tenancy.Domain) string {
	s := strings.ToUpper(d.Host()) + "."
	if d.Port() != "" {
		s += ":" + d.Port()
	}
	return s
}

// checkHostAgrees: a Host header leads to the same key, in each form of the name.
func checkHostAgrees(t interface{ Fatalf(string, ...any) }, s string, d tenancy.Domain) {
	for _, host := range []string{d.Key(), d.String(), dotted(d), strings.ToUpper(d.Key())} {
		if key, ok := tenancy.HostKey(host); !ok || key != d.Key() {
			t.Fatalf("%q: HostKey(%q) is %q (%t), want %q", s, host, key, ok, d.Key())
		}
	}
}

// TestDomainLaws: whatever is taken has one form, and keeps it.
func TestDomainLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := names().Draw(t, "name")
		d, err := tenancy.ParseDomain(s)
		if err != nil {
			if !errors.Is(err, tenancy.ErrIllegalDomain) || !d.IsZero() {
				t.Fatalf("%q: %v with %+v", s, err, d)
			}
			return
		}
		checkDomain(t, s, d)
	})
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{
		"alice.example.com", "alice.localhost:8090", "Émile.example.com", "xn--mile-9oa.example", "straße.example", "日本。例え",
		"a..b", "127.0.0.1", "a_b.c", "xn--a.b", "\u0130.com", "a\u00adb.com", "faß.de:443", "ﬃ.com", "۱.com", "a.b.:1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := tenancy.ParseDomain(s); err == nil {
			checkDomain(t, s, d)
		}
	})
}
