// This file holds the package's door: what the page needs, what it is told of an instance, and New.

// Package onboarding is the page by which the owner of a new instance chooses
// a password, for upstreams that have no such page of their own. Until then
// all other requests of the instance get a page that says so. It knows HTTP
// and nothing of Caddy or of the store.
//
// To follow a visit, read Page.Serve, then Page.form, then Page.submit.
package onboarding

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/netip"
	texttemplate "text/template"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

// ErrToken: the register token is not the instance's, or was used already.
var ErrToken = errors.New("the register token is wrong, or was used already")

// Backend is what the page asks of the control plane. It is called by many
// requests at once.
type Backend interface {
	// Onboard checks the register token in constant time against the store, sets
	// the passphrase and finishes the onboarding, all or nothing. Errors:
	// tenancy.ErrNotFound (no instance), ErrToken, *tenancy.FieldError (the
	// passphrase), tenancy.ErrUnavailable. ctx outlives the client, for at most
	// Options.Timeout.
	Onboard(ctx context.Context, instanceID string, token []byte, passphrase string) error

	// CheckToken tells whether the token is the instance's, in constant time and
	// without using it. Errors: tenancy.ErrNotFound, tenancy.ErrUnavailable.
	CheckToken(ctx context.Context, instanceID string, token []byte) (bool, error)
}

// Instance is what the page is told of the instance behind a request's Host.
type Instance struct {
	ID     string // of its document
	Domain string // in the document's form, with its port

	// Locale is the language of the page where it is one that the page has;
	// otherwise Accept-Language decides.
	Locale string

	// PublicName is what the owner is called. The form shows it, and refuses it
	// as a password. It may be empty.
	PublicName string

	// Onboarded tells that the instance serves, so that the link leads on.
	Onboarded bool

	// App tells that the request's host is that of an app of the instance, where
	// no password is chosen.
	App bool
}

// Limit is a token bucket: Burst requests at once, and one more each Every.
type Limit struct {
	Burst int
	Every time.Duration
}

// Limits for all the page's requests that cost a look-up: those of the link,
// and forms. A colleague's office behind one address gets through, and so do
// the few visits that an onboarding takes. The register token has 128 bits and
// needs no limit; the store does.
var (
	DefaultHostLimit    = Limit{Burst: 30, Every: 2 * time.Second}
	DefaultAddressLimit = Limit{Burst: 60, Every: time.Second}
)

const (
	defaultTimeout    = 30 * time.Second
	defaultConcurrent = 2
	// limited bounds the memory of each kind of limit: some 300 bytes for each
	// bucket, 2.5 MB in all. The ones that were asked least recently go.
	limited = 8192
	// maxLimited bounds the options that are numbers.
	maxLimited = 1 << 20
)

// Options are what a Page is made of. Only Backend, Now and Rand have no default.
type Options struct {
	Backend Backend
	Now     func() time.Time // for the limits
	Rand    io.Reader        // cryptographically secure, and safe for concurrent use

	// Pages answer where there is no instance. Default: the built-in ones.
	Pages *pages.Set

	// Support is an e-mail address or an https URL that the pages show. Default: none.
	Support string

	// HostLimit and AddressLimit bound the requests that cost a look-up, by
	// instance and by the client's address (IPv6: its /64). Whoever sends many for
	// one instance, from many addresses, delays its owner.
	HostLimit, AddressLimit Limit

	// Timeout bounds Backend.Onboard, and the wait for its turn. Default: 30 s.
	Timeout time.Duration

	// Concurrent is how many passphrases are set at a time; each takes some
	// hundred milliseconds of one core and 32 MiB. Default: 2.
	Concurrent int

	// Secure tells whether the visitor's browser speaks TLS, for front doors
	// behind something that ends it. Default: whether r itself came over TLS.
	Secure func(r *http.Request) bool
}

// Page is the page of one site. It never changes after New but for its
// limits, and is safe for concurrent use.
type Page struct {
	backend      Backend
	now          func() time.Time
	rand         io.Reader
	pages        *pages.Set
	support      *contact
	hosts        *buckets[string]
	addresses    *buckets[netip.Prefix]
	timeout      time.Duration
	turns        chan struct{}
	secure       func(*http.Request) bool
	languages    *languages
	form, notice *template.Template
	text         *texttemplate.Template
	style        template.CSS
	script       template.JS
	csp          string // of the form, but for form-action
	noticeCSP    string
}

// New makes a Page.
func New(o Options) (*Page, error) {
	switch {
	case o.Backend == nil, o.Now == nil, o.Rand == nil:
		return nil, errors.New("onboarding: Backend, Now and Rand are needed")
	case o.Timeout < 0, o.Concurrent < 0, o.Concurrent > maxLimited:
		return nil, errors.New("onboarding: Timeout or Concurrent is out of range")
	}
	if err := pages.CheckSupport(o.Support); err != nil {
		return nil, fmt.Errorf("onboarding: %w", err)
	}
	p := &Page{
		backend: o.Backend, now: o.Now, rand: o.Rand, pages: o.Pages, secure: o.Secure,
		support: contactOf(o.Support), timeout: o.Timeout,
	}
	if o.HostLimit == (Limit{}) {
		o.HostLimit = DefaultHostLimit
	}
	if o.AddressLimit == (Limit{}) {
		o.AddressLimit = DefaultAddressLimit
	}
	var err error
	if p.hosts, err = newBuckets[string](o.HostLimit, limited); err != nil {
		return nil, fmt.Errorf("onboarding: the limit by host: %w", err)
	}
	if p.addresses, err = newBuckets[netip.Prefix](o.AddressLimit, limited); err != nil {
		return nil, fmt.Errorf("onboarding: the limit by address: %w", err)
	}
	if p.timeout == 0 {
		p.timeout = defaultTimeout
	}
	if o.Concurrent == 0 {
		o.Concurrent = defaultConcurrent
	}
	p.turns = make(chan struct{}, o.Concurrent)
	if p.secure == nil {
		p.secure = func(r *http.Request) bool { return r.TLS != nil }
	}
	if p.pages == nil {
		if p.pages, err = pages.New(""); err != nil {
			return nil, fmt.Errorf("onboarding: %w", err)
		}
	}
	if err := p.load(); err != nil {
		return nil, fmt.Errorf("onboarding: %w", err)
	}
	return p, nil
}
