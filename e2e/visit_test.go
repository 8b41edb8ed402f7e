// A visitor of a front door under test, over HTTP and over TLS.

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// answer is what a visitor gets.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks the front door for a path of a host.
func (d *door) get(host, path string, headers ...string) (answer, error) {
	return fetch(plain, fmt.Sprintf("http://127.0.0.1:%d%s", d.http, path), host, headers...)
}

// mustGet is get for what has to be answered.
func (d *door) mustGet(host, path string, headers ...string) answer {
	d.t.Helper()
	a, err := d.get(host, path, headers...)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

// plain does not follow redirects, and keeps connections.
var plain = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 32},
}

func fetch(client *http.Client, url, host string, headers ...string) (answer, error) {
	return send(client, http.MethodGet, url, host, "", headers...)
}

// send makes a request of any kind; a header of Host is in host, empty for that of the URL.
func send(client *http.Client, method, url, host, body string, headers ...string) (answer, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Host = host
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(raw)}, err
}

// tls is a client that trusts this front door's local authority alone, and finds
// every host here.
func (d *door) tls() *http.Client {
	d.t.Helper()
	root, err := os.ReadFile(filepath.Join(d.dir, "share", "caddy", "pki", "authorities", "local", "root.crt"))
	if err != nil {
		d.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		d.t.Fatal("no root certificate")
	}
	return &http.Client{Timeout: patience, CheckRedirect: plain.CheckRedirect, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", d.https))
		},
		ForceAttemptHTTP2: true,
	}}
}

// leaf is the certificate that the front door shows for a host.
func (d *door) leaf(ca *testkit.CA, host string) *x509.Certificate {
	d.t.Helper()
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.https), &tls.Config{ServerName: host, RootCAs: ca.Roots})
	if err != nil {
		d.t.Fatalf("a handshake for %s: %v", host, err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}
