// This file holds what all tests share: a control plane in memory, a clock, and a visitor.

package onboarding_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/html"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plane is a control plane in memory.
type plane struct {
	mu       sync.Mutex
	tokens   map[string][]byte // by instance
	set      map[string]string // passphrases, by instance
	err      error             // what Onboard fails with
	checkErr error
	checks   int
	onboards int
	entered  chan struct{} // Onboard tells that it was entered, and waits, where these are set
	proceed  chan struct{}
}

func newPlane() *plane {
	return &plane{tokens: map[string][]byte{"alice": token}, set: map[string]string{}}
}

var token = bytes.Repeat([]byte{0xab}, 16)

func (p *plane) CheckToken(_ context.Context, id string, got []byte) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checks++
	if p.checkErr != nil {
		return false, p.checkErr
	}
	want, ok := p.tokens[id]
	if !ok {
		return false, tenancy.ErrNotFound
	}
	return want != nil && subtle.ConstantTimeCompare(want, got) == 1, nil
}

func (p *plane) Onboard(ctx context.Context, id string, got []byte, passphrase string) error {
	if p.entered != nil {
		p.entered <- struct{}{}
		<-p.proceed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onboards++
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.err != nil {
		return p.err
	}
	if want := p.tokens[id]; want == nil || subtle.ConstantTimeCompare(want, got) != 1 {
		return onboarding.ErrToken
	}
	p.tokens[id] = nil
	p.set[id] = passphrase
	return nil
}

// onboarded is the passphrase that was set, or "".
func (p *plane) onboarded(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.set[id]
}

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func newPage(t testing.TB, o onboarding.Options) *onboarding.Page {
	t.Helper()
	if o.Now == nil {
		o.Now = newClock().Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	p, err := onboarding.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var alice = onboarding.Instance{ID: "alice", Domain: "alice.example.com", PublicName: "Alice Martin"}

const (
	link     = "https://alice.example.com/?registerToken=abababababababababababababababab"
	password = "kettle orbit seldom"
	html1    = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	jsonAPI  = "application/vnd.api+json"
)

var visitor = netip.MustParseAddr("192.0.2.1")

// browser sends requests as one does: with its cookies, and where a form came from.
type browser struct {
	t      testing.TB
	page   *onboarding.Page
	inst   onboarding.Instance
	addr   netip.Addr
	header http.Header
	jar    http.CookieJar
	err    error // of the last Serve
}

func newBrowser(t testing.TB, p *onboarding.Page) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, page: p, inst: alice, addr: visitor, jar: jar, header: http.Header{"Accept": {html1}}}
}

// send makes a request; body is a form's, or "".
func (b *browser) send(method, address, body string, headers ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequest(method, address, strings.NewReader(body))
	for name, values := range b.header {
		r.Header[name] = values
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", "null") // as our Referrer-Policy has it
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	for _, c := range b.jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	if !b.page.Handles(r, b.inst) {
		b.t.Errorf("%s %s is not handled", method, address)
	}
	b.err = b.page.Serve(w, r, b.inst, b.addr)
	b.jar.SetCookies(r.URL, w.Result().Cookies())
	return w
}

func (b *browser) get(address string, headers ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.send(http.MethodGet, address, "", headers...)
}

// fill fills in the form of an answer.
func (b *browser) fill(w *httptest.ResponseRecorder, passphrase, repeat string) (address string, values url.Values) {
	b.t.Helper()
	root, err := html.Parse(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		b.t.Fatal(err)
	}
	values = url.Values{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "form" {
			if attr(n, "method") != "post" {
				b.t.Errorf("the form is sent by %q", attr(n, "method"))
			}
			address = "https://alice.example.com" + attr(n, "action")
		}
		if name := attr(n, "name"); n.Data == "input" && name != "" {
			values.Set(name, attr(n, "value"))
		}
	}
	if address == "" {
		b.t.Fatalf("%d, and no form:\n%s", w.Code, w.Body)
	}
	for name, value := range map[string]string{"passphrase": passphrase, "repeat": repeat} {
		if got, ok := values[name]; !ok || got[0] != "" {
			b.t.Errorf("the field %s is missing, or filled in", name)
		}
		values.Set(name, value)
	}
	return address, values
}

// choose opens the link and sends the form.
func (b *browser) choose(passphrase, repeat string, headers ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	address, values := b.fill(b.get(link), passphrase, repeat)
	return b.send(http.MethodPost, address, values.Encode(), headers...)
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// find gives the element with an id.
func find(t testing.TB, w *httptest.ResponseRecorder, id string) *html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && attr(n, "id") == id {
			return n
		}
	}
	t.Fatalf("%d, and no element with id %s:\n%s", w.Code, id, w.Body)
	return nil
}

// textOf is what stands in an element.
func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

func tokenHex() string { return hex.EncodeToString(token) }
