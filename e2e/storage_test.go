// The storage of certificates, through the built binary.

package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// withStorage ends the tenancy option with its store, and begins the storage, which
// the kit's next brace ends.
func withStorage(store, storage, more string) string {
	return store + "\n\t}\n\tstorage couchdb " + storage + " {\n\t\tencryption_key {file.storage.key}\n\t\t" + more
}

// newKey writes an encryption key to a file of the front door.
func (d *door) newKey(name string) {
	d.t.Helper()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	d.write(name, base64.StdEncoding.EncodeToString(secret)+"\n")
}

// shown is the certificate that a visitor of a host sees.
func (d *door) shown(host string) *x509.Certificate {
	d.t.Helper()
	var cert *x509.Certificate
	d.wait("there is a certificate for "+host, func() error {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.https), &tls.Config{ServerName: host, InsecureSkipVerify: true}) // it is compared
		if err != nil {
			return err
		}
		cert = conn.ConnectionState().PeerCertificates[0]
		return conn.Close()
	})
	return cert
}

// TestStorageBesideTheStore: certificates in the embedded store that the instances are
// in, over a reload, a restart and a crash.
func TestStorageBesideTheStore(t *testing.T) {
	t.Parallel()
	d := newDoor(t, withStorage("store embedded ./data", "embedded ./data", ""))
	d.newKey("storage.key")
	d.startReady()
	d.run("instances", "add", "bob.localhost")
	first := d.shown("bob.localhost")
	same := func(when string) {
		t.Helper()
		if now := d.shown("bob.localhost"); !now.Equal(first) {
			t.Errorf("%s there is another certificate: %s after %s", when, now.SerialNumber, first.SerialNumber)
		}
	}
	d.configure("support help@example.com")
	d.reload(0)
	same("after a reload")
	d.stop()
	if strings.Contains(d.log.String(), "clean up lock") || strings.Contains(d.log.String(), "panic") {
		t.Errorf("the end was not clean:\n%s", tail(d.log.String(), 40))
	}
	d.startReady()
	same("after a restart")
	d.kill()
	d.startReady()
	same("after a crash")
	d.run("instances", "add", "eve.localhost") // the store is shared still
	d.shown("eve.localhost")
	d.stop()
	content, err := os.ReadFile(filepath.Join(d.dir, "data", "gatehouse.db"))
	if err != nil || bytes.Contains(content, []byte("PRIVATE KEY")) {
		t.Errorf("a private key stands in the store in clear, or %v", err)
	}

	// Without its key, or with another, it does not start, or says which key is missing.
	d.write("storage.key", "hunter2")
	if _, stderr, code := d.try("run", "--config", "Caddyfile"); code == 0 || !strings.Contains(stderr, "openssl rand -base64 32") || strings.Contains(stderr, "hunter2") {
		t.Errorf("with a bad key it exits with %d: %s", code, stderr)
	}
	d.newKey("storage.key")
	if _, stderr, code := d.try("run", "--config", "Caddyfile"); code == 0 || !strings.Contains(stderr, "old_encryption_key") {
		t.Errorf("with another key it exits with %d: %s", code, stderr)
	}
}

// TestStorageDown: a front door that starts while CouchDB is down shows the
// certificates that it has seen before.
func TestStorageDown(t *testing.T) {
	t.Parallel()
	server := testkit.PouchDB(t, testkit.OnDisk())
	d := newDoor(t, withStorage("store couchdb "+server.URL(), server.URL(), "cache ./cache"))
	d.newKey("storage.key")
	d.startReady()
	d.run("instances", "add", "bob.localhost")
	first := d.shown("bob.localhost")
	d.stop()
	same := func(when string) {
		t.Helper()
		begun := time.Now()
		if now := d.shown("bob.localhost"); !now.Equal(first) {
			t.Errorf("%s there is another certificate: %s after %s", when, now.SerialNumber, first.SerialNumber)
		}
		t.Logf("%s: the certificate is shown after %s", when, time.Since(begun))
	}
	server.Stop(t)
	d.startReady()
	same("with a store that refuses")
	if n := strings.Count(d.log.String(), "the certificate store does not answer"); n != 1 {
		t.Errorf("logged %d times that the store is down", n)
	}
	d.stop()

	address, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	hole, err := net.Listen("tcp", address.Host) // connections are taken, and nothing is answered
	if err != nil {
		t.Fatal(err)
	}
	d.startReady()
	same("with a store that is silent")
	hole.Close()
	server.Start(t)
	d.wait("the store is found again", func() error {
		if _, stderr, code := d.try("instances", "add", "eve.localhost"); code != 0 && code != 4 {
			return fmt.Errorf("add exits with %d: %s", code, stderr)
		}
		return nil
	})
	d.shown("eve.localhost")
	same("with its store")
	d.stop()
}
