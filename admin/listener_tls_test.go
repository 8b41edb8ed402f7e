// The API's own listener with TLS.

package admin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/admin"
)

// writePair writes a certificate for 127.0.0.1 that signs itself.
func writePair(t *testing.T, folder, name string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(folder, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestListenerTLS: with the command as its client, and a certificate that changes.
func TestListenerTLS(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writePair(t, folder, "a", 1)
	x := listen(t, &admin.Listener{Address: "127.0.0.1:0", Certificate: filepath.Join(folder, "a.pem"), Key: filepath.Join(folder, "a.key")})
	address := "https://" + x.listener.Addr().String()
	serial := func() string {
		conn, err := tls.Dial("tcp", x.listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	r := command(t.Context(), address, "", "--ca", filepath.Join(folder, "a.pem"), "count")
	contains(t, "without a login", r.err, "passphrase")
	if r.code != 1 {
		t.Errorf("without a login: exit code %d", r.code)
	}
	if r := command(t.Context(), address, "", "count"); r.code != 5 || !strings.Contains(r.err, "certificate") {
		t.Errorf("with the system's authorities: %d %s", r.code, r.err)
	}
	if r := command(t.Context(), address, "", "--ca", filepath.Join(folder, "a.key"), "count"); r.code != 2 {
		t.Errorf("with no authority: %d %s", r.code, r.err)
	}
	if got := serial(); got != "1" {
		t.Errorf("the certificate is number %s", got)
	}
	writePair(t, folder, "a", 2)
	x.clock.add(time.Minute)
	if got := serial(); got != "2" {
		t.Errorf("after a change the certificate is number %s", got)
	}
	if err := os.Remove(filepath.Join(folder, "a.key")); err != nil {
		t.Fatal(err)
	}
	x.clock.add(time.Minute)
	if got := serial(); got != "2" {
		t.Errorf("without a key file the certificate is number %s", got)
	}
}
