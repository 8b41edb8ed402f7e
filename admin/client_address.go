// Client address: where the API is, and with what its client logs in.

package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// tokenVariable has a token, which goes before a passphrase.
const tokenVariable = "GATEHOUSE_API_TOKEN"

// passphraseVariables have the administrator's passphrase; the first that is set
// counts.
var passphraseVariables = []string{"COZY_ADMIN_PASSPHRASE", "COZY_ADMIN_PASSWORD"}

// newClient makes a client of an address: one of an API's own listener, as
// https://host:6061, or of Caddy's admin endpoint as Caddy writes them,
// localhost:2019 or unix//run/gatehouse.sock. ca is a file with certificates of
// authorities in PEM, or empty for those of the system.
func newClient(address, ca string, ask func() (string, error)) (*client, error) {
	c := &client{ask: ask, token: os.Getenv(tokenVariable)}
	for _, variable := range passphraseVariables {
		if c.secret == "" {
			c.secret = os.Getenv(variable)
		}
	}
	transport := &http.Transport{ResponseHeaderTimeout: answerTime, TLSHandshakeTimeout: 10 * time.Second}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // no other server is told the passphrase
	}}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://") {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, usagef("the address is not one, as in https://front.example.com:6061; a passphrase does not belong there, but into %s", passphraseVariables[0])
		}
		c.origin = u.Scheme + "://" + u.Host
		transport.DialContext = dialer.DialContext
		transport.TLSClientConfig, err = trust(ca)
		return c, err
	}
	if ca != "" {
		return nil, usagef("--ca is for an address with https")
	}
	parsed, err := caddy.ParseNetworkAddress(address)
	if err != nil || parsed.PortRangeSize() > 1 {
		return nil, usagef("the address %q is not one, as in localhost:2019, unix//run/gatehouse.sock or https://front.example.com:6061", address)
	}
	c.origin = "http://" + parsed.JoinHostPort(0)
	target := parsed.JoinHostPort(0)
	if parsed.IsUnixNetwork() {
		c.origin = "http://127.0.0.1" // a socket has no host, and HTTP wants one
		target, _, _ = strings.Cut(parsed.Host, "|")
	}
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, parsed.Network, target)
	}
	return c, nil
}

// trust is what a server's certificate is held against.
func trust(ca string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, usagef("reading --ca: %v", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, usagef("--ca: there is no certificate in %s", ca)
	}
	return cfg, nil
}
