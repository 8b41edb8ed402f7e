// Client: the requests to registries and for tarballs, and where they may go.

package apps

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	maxRedirects   = 5
	connectTimeout = 10 * time.Second
)

// client sends requests. Registries are the operator's choice, and may be
// anywhere; what a registry answers must not lead into the operator's own networks.
type client struct {
	open, guarded http.RoundTripper
	idle          []*http.Transport
	proxied       func(*http.Request) (*url.URL, error)
}

func newClient(given http.RoundTripper, allowPrivate bool) *client {
	if given != nil {
		return &client{open: given, guarded: given}
	}
	open, guarded := newTransport(nil), newTransport(refusePrivate)
	c := &client{open: open, guarded: guarded, idle: []*http.Transport{open, guarded}, proxied: http.ProxyFromEnvironment}
	if allowPrivate {
		c.guarded = open
	}
	return c
}

func newTransport(control func(context.Context, string, string, syscall.RawConn) error) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout, ControlContext: control}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        time.Minute,
		ForceAttemptHTTP2:      true,
	}
}

func (c *client) closeIdle() {
	for _, t := range c.idle {
		t.CloseIdleConnections()
	}
}

// errPrivate: an address that a registry must not lead to.
var errPrivate = fmt.Errorf("%w: it is in a private network", ErrAddress)

// special are networks that are neither public nor known to netip; RFC 6890.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

// refusePrivate is asked for each address that is connected to, after names are
// resolved, so that no name leads past it.
func refusePrivate(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return errPrivate
	}
	addr := to.Addr().Unmap()
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return errPrivate
	}
	for _, network := range special {
		if network.Contains(addr.WithZone("")) {
			return errPrivate
		}
	}
	return nil
}

// get asks for u, and follows redirects. The caller closes the answer's body.
// registry is the one on whose behalf it is. No request has credentials.
func (c *client) get(ctx context.Context, registry, u *url.URL, accept string) (*http.Response, error) {
	for range maxRedirects + 1 {
		if err := checkURL(u); err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", ErrAddress, place(u))
		}
		req.Header.Set("User-Agent", "gatehouse")
		req.Header.Set("Accept", accept)
		// A tarball that came compressed once more would have another checksum.
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := c.transport(req, registry).RoundTrip(req)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return nil, fmt.Errorf("%s: %w", place(u), err)
		}
		location := resp.Header.Get("Location")
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return resp, nil
		}
		resp.Body.Close()
		next, err := u.Parse(location)
		if location == "" || err != nil || next.Scheme == "http" && u.Scheme == "https" {
			return nil, fmt.Errorf("%s: %w: it leads to no address, or to an unsafe one", place(u), ErrAddress)
		}
		u = next
	}
	return nil, fmt.Errorf("%w: it leads on more than %d times", ErrAddress, maxRedirects)
}

// transport is the open one for where the registry itself is; a proxy sees for
// itself where it goes.
func (c *client) transport(req *http.Request, registry *url.URL) http.RoundTripper {
	if authority(req.URL) == authority(registry) {
		return c.open
	}
	if c.proxied != nil {
		if proxy, err := c.proxied(req); proxy != nil && err == nil {
			return c.open
		}
	}
	return c.guarded
}

func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.Hostname() == "":
		return fmt.Errorf("%w: it is no http:// or https:// URL", ErrAddress)
	case u.User != nil:
		return fmt.Errorf("%w: it holds a user name or a password", ErrAddress)
	}
	return nil
}

// place is a URL without what may be a secret in it.
func place(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// CheckRegistry tells whether a registry can have this URL: http or https, and
// neither credentials nor a query. An error never repeats the URL.
func CheckRegistry(rawURL string) error {
	_, err := parseRegistry(rawURL)
	return err
}

func parseRegistry(rawURL string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(rawURL))
	if err != nil {
		return nil, errors.New("a registry's URL cannot be read")
	}
	if err := checkURL(u); err != nil {
		return nil, fmt.Errorf("a registry's URL: %w", err)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("a registry's URL: %w: it has more than a path", ErrAddress)
	}
	return u, nil
}
