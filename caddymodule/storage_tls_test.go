// TLS of a site of Caddy, from the storage.

package caddymodule_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-edge/gatehouse/caddymodule"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// TestTLSFromStorage: a site with `tls internal` has its authority and its certificates
// in the embedded store that the tenancy app is on too, sealed; over a reload, and
// over the end of the process, as far as there can be one in a test.
func TestTLSFromStorage(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("A", storageKey(1))
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "share"))
	t.Cleanup(func() { _ = caddy.Stop() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	_ = listener.Close() // Caddy has the port from here on
	start := func(said string) {
		t.Helper()
		raw, err := adapt(string(caddyfile.Format([]byte(fmt.Sprintf(`{
			admin off
			persist_config off
			skip_install_trust
			auto_https disable_redirects
			https_port %s
			storage couchdb embedded %s/data {
				encryption_key {env.A}
			}
			tenancy {
				store embedded %s/data
				snapshot off
			}
		}
		https://site.localhost {
			bind 127.0.0.1
			tls internal
			respond %q
		}`, port, dir, dir, said)))))
		if err != nil {
			t.Fatal(err)
		}
		var config caddy.Config
		if err := json.Unmarshal(raw, &config); err != nil {
			t.Fatal(err)
		}
		config.Logging = quiet
		if err := caddy.Run(&config); err != nil {
			t.Fatal(err)
		}
	}
	leaf := func() (*x509.Certificate, *x509.Certificate) {
		t.Helper()
		var found []*x509.Certificate
		deadline := time.Now().Add(30 * time.Second)
		for {
			conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: "site.localhost", InsecureSkipVerify: true}) // looked at below
			if err == nil {
				found = conn.ConnectionState().PeerCertificates
				_ = conn.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
		if len(found) < 2 {
			t.Fatalf("%d certificates", len(found))
		}
		return found[0], found[1]
	}
	start("one")
	first, intermediate := leaf()
	s := caddy.ActiveContext().Storage()
	keys, err := s.List(t.Context(), "", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pki/authorities/local/root.key", "certificates/local/site.localhost/site.localhost.key"} {
		if !strings.Contains(" "+strings.Join(keys, " ")+" ", " "+want+" ") {
			t.Errorf("the storage has no %s: %q", want, keys)
		}
	}
	app, err := caddy.ActiveContext().App("tenancy")
	if err != nil {
		t.Fatal(err)
	}
	add(t, app.(*caddymodule.App), "alice.example.com", lifecycle.Change{})
	same := func(when string) {
		t.Helper()
		now, issuer := leaf()
		if !now.Equal(first) || !issuer.Equal(intermediate) {
			t.Errorf("%s there is another certificate: %s after %s", when, now.SerialNumber, first.SerialNumber)
		}
	}
	start("two")
	same("after a reload")
	if caddy.ActiveContext().Storage() != s {
		t.Error("the reload made another storage")
	}
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
	reopens(t, filepath.Join(dir, "data"))
	start("three")
	same("after a restart")
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "data", "gatehouse.db"))
	if err != nil || bytes.Contains(content, []byte("PRIVATE KEY")) {
		t.Errorf("a private key stands in the store in clear, or %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "share", "caddy", "certificates")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there are certificates in Caddy's data folder: %v", err)
	}
}
