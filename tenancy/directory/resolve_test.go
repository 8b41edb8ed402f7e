// Tables of hosts: which instance they are of, and what is done with a request.

package directory_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

func town() *directory.Directory {
	return fed(
		newDoc("alice", "1-a", "alice.example.com", aliases("www.alice.org", "alice.org"), with("old_domain", "alice.old.net")),
		newDoc("bob", "1-a", "bob.localhost:8080", with("old_domain", "bob.localhost:9090")),
		newDoc("elise", "1-a", "élise.example.com", with("old_domain", "élise.old.net")),
		newDoc("shop", "1-a", "shop.alice.example.com"),
		newDoc("both", "1-a", "both.example.com"),
		newDoc("both8080", "1-a", "both.example.com:8080"),
		newDoc("former", "1-a", "former.example.com", with("old_domain", "old.alice.org")),
		newDoc("taken", "1-a", "taken.example.com", with("old_domain", "alice.example.com")),
		newDoc("local", "1-a", "localhost"),
	)
}

func TestResolve(t *testing.T) {
	d := town()
	const nested, flat, off = directory.Nested, directory.Flat, directory.Off
	for _, c := range []struct {
		host string
		mode directory.Mode
		id   string // empty: nobody's
		by   directory.By
		slug string
	}{
		// domains and aliases, as they are and as people type them
		{"alice.example.com", nested, "alice", directory.ByDomain, ""},
		{"alice.example.com", flat, "alice", directory.ByDomain, ""},
		{"alice.example.com", off, "alice", directory.ByDomain, ""},
		{"ALICE.Example.COM", nested, "alice", directory.ByDomain, ""},
		{"alice.example.com.", nested, "alice", directory.ByDomain, ""},
		{"alice.example.com:443", nested, "alice", directory.ByDomain, ""},
		{"alice.example.com.:443", nested, "alice", directory.ByDomain, ""},
		{"alice.example.com:", nested, "alice", directory.ByDomain, ""},
		{"alice.org", off, "alice", directory.ByAlias, ""},
		{"localhost:1234", nested, "local", directory.ByDomain, ""},
		// app hosts
		{"drive.alice.example.com", nested, "alice", directory.ByDomain, "drive"},
		{"Drive.Alice.Example.com:8443", nested, "alice", directory.ByDomain, "drive"},
		{"drive.alice.example.com.", nested, "alice", directory.ByDomain, "drive"},
		{"drive.alice.example.com", flat, "", 0, ""},
		{"drive.alice.example.com", off, "", 0, ""},
		{"a.b.alice.example.com", nested, "", 0, ""},
		{"alice-drive.example.com", flat, "alice", directory.ByDomain, "drive"},
		{"alice-drive-in.example.com:80", flat, "alice", directory.ByDomain, "drive-in"},
		{"ALICE-Drive.example.com", flat, "alice", directory.ByDomain, "drive"},
		{"alice-drive.example.com", nested, "", 0, ""},
		{"alice-.example.com", flat, "", 0, ""},
		{"-drive.example.com", flat, "", 0, ""},
		{"-.example.com", flat, "", 0, ""},
		{"alice--x.example.com", flat, "alice", directory.ByDomain, "-x"},
		{"localhost-drive", flat, "", 0, ""},
		{"bob.localhost", nested, "local", directory.ByDomain, "bob"},
		// the parent goes before the host, even before its own instance
		{"www.alice.org", nested, "alice", directory.ByAlias, "www"},
		{"www.alice.org", flat, "alice", directory.ByAlias, ""},
		{"shop.alice.example.com", nested, "alice", directory.ByDomain, "shop"},
		{"shop.alice.example.com", off, "shop", directory.ByDomain, ""},
		// ports: the record's own, or any where it has none
		{"bob.localhost:8080", off, "bob", directory.ByDomain, ""},
		{"bob.localhost:8081", off, "", 0, ""},
		{"bob.localhost", off, "", 0, ""},
		{"drive.bob.localhost:8080", nested, "bob", directory.ByDomain, "drive"},
		{"drive.bob.localhost:80", nested, "", 0, ""},
		{"bob-drive.localhost:8080", flat, "bob", directory.ByDomain, "drive"},
		{"both.example.com", off, "both", directory.ByDomain, ""},
		{"both.example.com:80", off, "both", directory.ByDomain, ""},
		{"both.example.com:8080", off, "both8080", directory.ByDomain, ""},
		{"app.both.example.com:8080", nested, "both8080", directory.ByDomain, "app"},
		// old domains, after everything else
		{"alice.old.net", nested, "alice", directory.ByOldDomain, ""},
		{"drive.alice.old.net", nested, "alice", directory.ByOldDomain, "drive"},
		{"alice-drive.old.net", flat, "alice", directory.ByOldDomain, "drive"},
		{"old.alice.org", off, "former", directory.ByOldDomain, ""},
		{"old.alice.org", nested, "alice", directory.ByAlias, "old"},
		{"bob.localhost:9090", off, "bob", directory.ByOldDomain, ""},
		{"bob.localhost:9091", off, "", 0, ""},
		// names beyond ASCII
		{"élise.example.com", nested, "elise", directory.ByDomain, ""},
		{"ÉLISE.example.com", nested, "elise", directory.ByDomain, ""},
		{"e\u0301lise.example.com", nested, "elise", directory.ByDomain, ""},
		{"xn--lise-9oa.example.com", nested, "elise", directory.ByDomain, ""},
		{"XN--lise-9oa.example.com", flat, "elise", directory.ByDomain, ""},
		{"drive.élise.example.com:8443", nested, "elise", directory.ByDomain, "drive"},
		{"drive。élise。example。com", nested, "elise", directory.ByDomain, "drive"},
		{"élise-drive.example.com", flat, "elise", directory.ByDomain, "drive"},
		{"xn--lise-drive-96a.example.com", flat, "elise", directory.ByDomain, "drive"},
		{"xn--lise-drive-96a.example.com:443", flat, "elise", directory.ByDomain, "drive"},
		{"alice-é.example.com", flat, "alice", directory.ByDomain, "xn--9ca"},
		{"é.alice.example.com", nested, "alice", directory.ByDomain, "xn--9ca"},
		{"élise-.example.com", flat, "", 0, ""},
		// what is no host
		{"", nested, "", 0, ""},
		{".", nested, "", 0, ""},
		{".alice.example.com", nested, "", 0, ""},
		{"alice..example.com", nested, "", 0, ""},
		{"alice.example.com..", nested, "", 0, ""},
		{"alice.example.com:99999999", nested, "", 0, ""},
		{"alice.example.com:http", nested, "", 0, ""},
		{"alice.example.com:80:80", nested, "", 0, ""},
		{"alice.example.com/", nested, "", 0, ""},
		{"alice.example.com\x00", nested, "", 0, ""},
		{"user@alice.example.com", nested, "", 0, ""},
		{"127.0.0.1", nested, "", 0, ""},
		{"127.0.0.1:80", flat, "", 0, ""},
		{"[::1]:80", nested, "", 0, ""},
		{"\xff\xfe.example.com", nested, "", 0, ""},
		{"xn--\u00e9.example.com", flat, "", 0, ""},
		{strings.Repeat("a", 2000) + ".alice.example.com", nested, "", 0, ""},
	} {
		m, ok := d.Resolve(c.host, c.mode)
		id := ""
		if ok {
			id = m.Entry.ID()
		}
		if id != c.id || m.By != c.by || m.Slug != c.slug {
			t.Errorf("%q %v: %q by %v, slug %q; want %q by %v, slug %q", c.host, c.mode, id, m.By, m.Slug, c.id, c.by, c.slug)
		}
		if ok != (!m.Entry.IsZero()) {
			t.Errorf("%q %v: found %v with the entry %v", c.host, c.mode, ok, m.Entry)
		}
		if ok && !slices.Contains(append(m.Entry.Aliases(), m.Entry.Key(), m.Entry.OldDomain()), m.Key) {
			t.Errorf("%q %v: the key %q is none of the entry's", c.host, c.mode, m.Key)
		}
	}
}

func TestSlugIsPartOfTheHost(t *testing.T) {
	d := town()
	for host, mode := range map[string]directory.Mode{
		"drive.alice.example.com": directory.Nested, "alice-drive.example.com": directory.Flat,
	} {
		m, _ := d.Resolve(host, mode)
		if at := strings.Index(host, "drive"); unsafe.StringData(m.Slug) != unsafe.StringData(host[at:]) {
			t.Errorf("%s: the slug was copied", host)
		}
	}
}

func TestDecide(t *testing.T) {
	d := fed(
		newDoc("on", "1-a", "on.example.com", with("old_domain", "was.example.com")),
		newDoc("pay", "1-a", "pay.example.com", with("blocked", true), with("blocking_reason", "PAYMENT_FAILED"), with("old_domain", "paid.example.com")),
		newDoc("login", "1-a", "login.example.com", with("blocked", true), with("blocking_reason", "LOGIN_FAILED")),
		newDoc("own", "1-a", "own.example.com", with("blocked", true), with("blocking_reason", "see the note")),
		newDoc("why", "1-a", "why.example.com", with("blocked", true)),
		newDoc("gone", "1-a", "gone.example.com", with("deleting", true), with("blocked", true), with("blocking_reason", "PAYMENT_FAILED")),
		newDoc("port", "1-a", "port.example.com:8443", with("old_domain", "port.old.net")),
		newDoc("elise", "1-a", "élise.example.com", with("old_domain", "lise.old.net")),
		newDoc("reason", "1-a", "reason.example.com", with("blocking_reason", "PAYMENT_FAILED")),
	)
	for _, c := range []struct {
		host     string
		mode     directory.Mode
		kind     directory.Kind
		code     string
		status   int
		location string
	}{
		{host: "on.example.com", kind: directory.Serve},
		{host: "drive.on.example.com:99", kind: directory.Serve},
		{host: "reason.example.com", kind: directory.Serve}, // a reason without a block
		{host: "nobody.example.com", code: "NOT_FOUND", status: 404},
		{host: "", code: "NOT_FOUND", status: 404},
		{host: "pay.example.com", code: "PAYMENT_FAILED", status: 402},
		{host: "drive.pay.example.com", code: "PAYMENT_FAILED", status: 402},
		{host: "paid.example.com", code: "PAYMENT_FAILED", status: 402},
		{host: "login.example.com", code: "LOGIN_FAILED", status: 503},
		{host: "own.example.com", code: "see the note", status: 503},
		{host: "why.example.com", code: "UNKNOWN", status: 503},
		{host: "gone.example.com", code: "DELETING", status: 410},
		{host: "was.example.com", kind: directory.Redirect, status: 308, location: "on.example.com"},
		{host: "was.example.com:8443", kind: directory.Redirect, status: 308, location: "on.example.com:8443"},
		{host: "WAS.example.com.:08443", kind: directory.Redirect, status: 308, location: "on.example.com:08443"},
		{host: "drive.was.example.com:8443", kind: directory.Redirect, status: 308, location: "drive.on.example.com:8443"},
		{host: "was-drive.example.com", mode: directory.Flat, kind: directory.Redirect, status: 308, location: "on-drive.example.com"},
		{host: "port.old.net:80", kind: directory.Redirect, status: 308, location: "port.example.com:8443"},
		{host: "port-app.old.net", mode: directory.Flat, kind: directory.Redirect, status: 308, location: "port-app.example.com:8443"},
		{host: "lise.old.net", kind: directory.Redirect, status: 308, location: "xn--lise-9oa.example.com"},
		{host: "drive.lise.old.net", kind: directory.Redirect, status: 308, location: "drive.xn--lise-9oa.example.com"},
		{host: "lise-drive.old.net:1", mode: directory.Flat, kind: directory.Redirect, status: 308, location: "xn--lise-drive-96a.example.com:1"},
	} {
		v := d.Decide(c.host, c.mode)
		if v.Kind != c.kind || v.Code != c.code || v.Status != c.status || v.Location != c.location {
			t.Errorf("%q %v: %v %q %d to %q; want %v %q %d to %q", c.host, c.mode,
				v.Kind, v.Code, v.Status, v.Location, c.kind, c.code, c.status, c.location)
		}
		if v.Kind == directory.Redirect {
			if again := d.Decide(v.Location, c.mode); again.Kind != directory.Serve || again.Match.Entry != v.Match.Entry || again.Match.Slug != v.Match.Slug {
				t.Errorf("%q leads to %q, which is %v", c.host, v.Location, again)
			}
		}
	}
}

func TestDecideBeforeReady(t *testing.T) {
	d := directory.New(directory.Options{Cluster: newFeed()})
	d.Apply(newDoc("a", "1-a", "a.example.com"))
	if v := d.Decide("a.example.com", directory.Nested); v.Kind != directory.Refuse || v.Code != tenancy.CodeNotReady || v.Status != http.StatusServiceUnavailable {
		t.Errorf("before it is ready: %+v", v)
	}
	if _, ok := d.Resolve("a.example.com", directory.Nested); ok || d.Len() != 0 || d.Status().Ready {
		t.Error("something is found before the directory is ready")
	}
}

func TestParseMode(t *testing.T) {
	for _, mode := range []directory.Mode{directory.Nested, directory.Flat, directory.Off} {
		if got, err := directory.ParseMode(mode.String()); err != nil || got != mode {
			t.Errorf("%v is read as %v, %v", mode, got, err)
		}
	}
	if _, err := directory.ParseMode("deep"); err == nil || !strings.Contains(err.Error(), "nested, flat, off") {
		t.Errorf("a bad mode: %v", err)
	}
}

func TestEntryOf(t *testing.T) {
	e, err := directory.EntryOf(newDoc("id", "3-c", "élise.example.com:8080",
		aliases("ÉLISE.org", "elise.net", "elise.net.", "no host", "élise.example.com:8080"),
		with("old_domain", "elise.net"), with("context", "ctx"), with("locale", "fr"), with("uuid", "u-1"),
		with("couch_cluster", 2), with("blocked", true), with("passphrase_hash", "c2VjcmV0")))
	if err != nil {
		t.Fatal(err)
	}
	if e.ID() != "id" || e.Rev() != "3-c" || e.Domain() != "élise.example.com:8080" || e.Key() != "xn--lise-9oa.example.com:8080" ||
		!slices.Equal(e.Aliases(), []string{"xn--lise-9oa.org", "elise.net"}) || e.OldDomain() != "" ||
		e.Prefix() != e.Domain() || e.Context() != "ctx" || e.Locale() != "fr" || e.UUID() != "u-1" || e.Cluster() != 2 ||
		e.State() != tenancy.Blocked || e.Reason() != tenancy.ReasonUnknown {
		t.Errorf("%+v", e)
	}
	for name, doc := range map[string]*tenancy.Instance{
		"without an id":     newDoc("", "1-a", "a.example.com"),
		"without a domain":  newDoc("id", "1-a", ""),
		"with a bad domain": newDoc("id", "1-a", "a b"),
		"with a bad field":  newDoc("id", "1-a", "a.example.com", with("blocked", "yes")),
	} {
		if _, err := directory.EntryOf(doc); err == nil {
			t.Errorf("a document %s makes an entry", name)
		}
	}
}
