// Host: the normal form of what browsers send, and that it costs nothing.

package tenancy_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func TestHostKey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"alice.example.com":       "alice.example.com",
		"Alice.Example.COM":       "alice.example.com",
		"alice.example.com.":      "alice.example.com",
		"alice.example.com:8080":  "alice.example.com:8080",
		"alice.example.com.:8080": "alice.example.com:8080",
		"alice.example.com:":      "alice.example.com",
		"my_host.example.com":     "my_host.example.com", // a stack may have taken it
		"-a.example.com":          "-a.example.com",
		"émile.example.com":       "xn--mile-9oa.example.com",
		"ÉMILE.example.com.:80":   "xn--mile-9oa.example.com:80",
		"127.0.0.1":               "127.0.0.1",
		"127.0.0.1:80":            "127.0.0.1:80",
	} {
		if got, ok := tenancy.HostKey(in); !ok || got != want {
			t.Errorf("HostKey(%q) is %q (%t), want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"", ".", "..", ":80", ".:80", "a..b", ".a", "a b", "a/b", "a\\b", "a@b", "a%2fb", "a#b", "a?b", "[::1]", "[::1]:80", "::1", "a:b", "a:80:80",
		"a:123456", "a:8o", "a\x00b", "a\x7fb", "a\nb", "a\xff", "a\xffb.example", "é..b", "é.example:123456", "é/b",
		strings.Repeat("a", 254), strings.Repeat("a.", 127) + "a", strings.Repeat("a", 2000), strings.Repeat("é", 2000),
	} {
		if got, ok := tenancy.HostKey(in); ok {
			t.Errorf("HostKey(%q) is %q, want none", in, got)
		}
	}
}

// TestAppendHost: what was there stays, and the length of the name is told.
func TestAppendHost(t *testing.T) {
	t.Parallel()
	for host, name := range map[string]int{"Alice.example.com": 17, "Alice.example.com.:8080": 17, "é.example:1": len("xn--9ca.example")} {
		out, n, ok := tenancy.AppendHost([]byte("before "), host)
		key, _ := tenancy.HostKey(host)
		if !ok || n != name || string(out) != "before "+key {
			t.Errorf("AppendHost(%q) is %q, %d, %t", host, out, n, ok)
		}
	}
	for _, host := range []string{"", "a..b", "a/b", "é/b", strings.Repeat("a", 300)} {
		if out, n, ok := tenancy.AppendHost([]byte("before"), host); ok || n != 0 || string(out) != "before" {
			t.Errorf("AppendHost(%q) is %q, %d, %t", host, out, n, ok)
		}
	}
}

// TestAppendHostAllocatesNothing: for ASCII, valid or not, where there is room.
func TestAppendHostAllocatesNothing(t *testing.T) {
	for _, host := range []string{"alice.example.com", "ALICE.example.com.:8080", "a..b", strings.Repeat("a", tenancy.MaxHostLength), "127.0.0.1:80", "[::1]:80"} {
		length := 0
		allocs := testing.AllocsPerRun(100, func() {
			var room [tenancy.MaxHostLength]byte
			out, name, _ := tenancy.AppendHost(room[:0], host)
			length += len(out) + name
		})
		if allocs != 0 {
			t.Errorf("AppendHost(%q) allocates %v times", host, allocs)
		}
	}
}

// checkHost are the laws for every key.
func checkHost(t interface{ Fatalf(string, ...any) }, host, key string) {
	if again, ok := tenancy.HostKey(key); !ok || again != key {
		t.Fatalf("%q: its key %q has the key %q (%t)", host, key, again, ok)
	}
	if key == "" || len(key) > tenancy.MaxHostLength {
		t.Fatalf("%q: a key of %d bytes", host, len(key))
	}
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c >= 0x7f || c >= 'A' && c <= 'Z' {
			t.Fatalf("%q: its key %q is not lower-case ASCII", host, key)
		}
	}
	out, name, ok := tenancy.AppendHost(nil, host)
	if !ok || string(out) != key || name > len(out) || strings.Contains(key[:name], ":") || name < len(key) && key[name] != ':' {
		t.Fatalf("%q: AppendHost says %q, %d (%t) of the key %q", host, out, name, ok, key)
	}
}

// checkPlain holds PlainHost to AppendHost: it may leave work to that, and not differ.
func checkPlain(t interface{ Fatalf(string, ...any) }, host string) (plain bool) {
	length, plain := tenancy.PlainHost(host)
	if !plain {
		return false
	}
	if out, name, ok := tenancy.AppendHost(nil, host); !ok || string(out) != host || name != length {
		t.Fatalf("%q is plain, its name %d bytes; AppendHost says %q, %d (%t)", host, length, out, name, ok)
	}
	return true
}

// TestPlainHost: what browsers send is plain, and each byte in each place is what
// AppendHost has it to be.
func TestPlainHost(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"alice.example.com", "drive.alice.example.com:8443", "a-b.c-d9.example:1", "xn--mile-9oa.example", "0.0.0.0-", "127.0.0.1:65535",
		strings.Repeat("a.", 126) + "a", strings.Repeat("a", 253) + ":80",
	} {
		if !checkPlain(t, host) {
			t.Errorf("%q is not plain", host)
		}
	}
	for _, host := range []string{
		"", "a.b", "Alice.example.com", "alice.example.com.", ".alice.example", "alice..example", "alice.example:", "alice.example:80:80", "alice.example:123456",
		"alice.example:8o", "my_host.example.com", "[::1]:8080", strings.Repeat("a", 254),
	} {
		if checkPlain(t, host) {
			t.Errorf("%q is plain", host)
		}
	}
	for length := 8; length <= 24; length++ {
		for at := range length {
			for c := range 256 {
				name := []byte(strings.Repeat("x", length))
				name[at] = byte(c)
				checkPlain(t, string(name))
				if at > 0 {
					name[at-1] = '.' // and neighbours
					checkPlain(t, string(name))
				}
			}
		}
	}
}

func TestHostLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		host := names().Draw(t, "host")
		checkPlain(t, host)
		if key, ok := tenancy.HostKey(host); ok {
			checkHost(t, host, key)
		}
		if d, err := tenancy.ParseDomain(host); err == nil && strings.TrimSpace(host) == host {
			if key, ok := tenancy.HostKey(host); !ok || key != d.Key() {
				t.Fatalf("%q: HostKey is %q (%t), the domain's key is %q", host, key, ok, d.Key())
			}
		}
	})
}

func FuzzHostKey(f *testing.F) {
	for _, s := range []string{"alice.example.com", "ALICE.example.com.:8080", "é.example:80", "a:b", "[::1]:80", "a..b", "xn--a.b", "a:", ":", "\u3002", "a\u3002", "\u00ad.a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		checkPlain(t, host)
		if key, ok := tenancy.HostKey(host); ok {
			checkHost(t, host, key)
		}
	})
}

func BenchmarkAppendHost(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var room [tenancy.MaxHostLength]byte
		if _, _, ok := tenancy.AppendHost(room[:0], "Drive.Alice.example.com:8443"); !ok {
			b.Fatal("no host")
		}
	}
}
