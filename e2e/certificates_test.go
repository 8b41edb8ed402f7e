// Certificates: orders with a real ACME authority, before the first visit, and what
// becomes of them.

package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// ours is a site whose certificates Gatehouse keeps.
const ours = "tls {\n\t\ton_demand\n\t\tget_certificate tenancy\n\t}"

// authority makes an ACME authority for a front door, which is then configured for it.
func (d *door) authority(t testing.TB, more string) *testkit.CA {
	t.Helper()
	ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: d.http, TLSPort: d.https})
	d.of(ca, more)
	return ca
}

// of configures a front door for an authority.
func (d *door) of(ca *testkit.CA, more string) {
	d.t.Helper()
	d.acme = fmt.Sprintf("email operator@example.com\n\tacme_ca %s\n\tacme_ca_root %s", ca.Directory, ca.Root)
	d.certs = ours
	d.store += more
	d.configure("")
}

// over is a client that trusts the authority, and finds every host at this front door.
func (d *door) over(ca *testkit.CA) *http.Client {
	return &http.Client{
		Timeout:       patience,
		CheckRedirect: plain.CheckRedirect,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: ca.Roots},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				var dialer net.Dialer
				return dialer.DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", d.https))
			},
		},
	}
}

// held waits until the storage has a certificate of a name; without any visit.
func (d *door) held(name string) {
	d.t.Helper()
	d.wait("there is a certificate of "+name, func() error {
		found, err := filepath.Glob(filepath.Join(d.dir, "share", "caddy", "certificates", "*", name, name+".crt"))
		if err == nil && len(found) == 0 {
			err = errors.New("none")
		}
		return err
	})
}

// secure visits a host over HTTPS.
func (d *door) secure(ca *testkit.CA, host string, headers ...string) answer {
	d.t.Helper()
	a, err := fetch(d.over(ca), "https://"+host+"/", "", headers...)
	if err != nil {
		d.t.Fatalf("https://%s: %v", host, err)
	}
	return a
}

// TestCertificates: the life of an instance's certificate.
func TestCertificates(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data")
	ca := d.authority(t, "\n\t\tcertificates {\n\t\t\trevoke\n\t\t\tapps drive\n\t\t}")
	d.startReady()
	const name, alias = "alice.tls.example.com", "al.tls.example.com"
	d.add(name, nil)
	d.held(name)
	orders := ca.Count(testkit.ACMENewOrder)
	if a := d.secure(ca, name); a.status != 200 {
		t.Errorf("over HTTPS: %d %s", a.status, a.body)
	}
	if n := ca.Count(testkit.ACMENewOrder); n != orders || n != 1 {
		t.Errorf("a visit made the orders %d of %d", n, orders)
	}

	d.modify(name, params{"Blocked": true, "BlockingReason": "PAYMENT_FAILED"})
	if a := d.secure(ca, name); a.status != 402 {
		t.Errorf("blocked: %d %s", a.status, a.body)
	}
	d.modify(name, params{"Blocked": false, "DomainAliases": []string{alias}})
	d.held(alias)
	if a := d.secure(ca, alias); a.status != 200 {
		t.Errorf("by an alias: %d %s", a.status, a.body)
	}
	if a := d.secure(ca, "drive."+name); a.status != 200 {
		t.Errorf("the host of an app: %d %s", a.status, a.body)
	}
	for _, host := range []string{"photos." + name, "nobody.tls.example.com"} {
		if a, err := fetch(d.over(ca), "https://"+host+"/", ""); err == nil {
			t.Errorf("%s answers %d %s", host, a.status, a.body)
		}
	}
	if n := ca.Count(testkit.ACMENewOrder); n != 3 {
		t.Errorf("there were %d orders, want 3", n)
	}

	leaf := d.leaf(ca, name)
	d.modify(name, params{"DomainAliases": []string{}})
	d.lacks(alias)
	d.api(http.StatusNoContent, http.MethodDelete, "/instances/"+name, nil)
	d.lacks(name)
	d.lacks("drive." + name)
	if a, err := fetch(d.over(ca), "https://"+name+"/", ""); err == nil {
		t.Errorf("an instance that is gone answers %d", a.status)
	}
	d.wait("it is revoked", func() error {
		if !ca.CertStatus(t, leaf.SerialNumber).Revoked {
			return errors.New("not yet")
		}
		return nil
	})
}

// lacks waits until the storage has nothing of a name.
func (d *door) lacks(name string) {
	d.t.Helper()
	d.wait("the certificate of "+name+" is gone", func() error {
		found, err := filepath.Glob(filepath.Join(d.dir, "share", "caddy", "certificates", "*", name))
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("%q", found)
		}
		return err
	})
}

// TestCertificatesPaced: many at once, with the authority down in the middle.
func TestCertificatesPaced(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data")
	ca := d.authority(t, "\n\t\tcertificates {\n\t\t\tparallel 4\n\t\t\tlimit domain off\n\t\t}")
	d.startReady()
	names := make([]string, 50)
	for i := range names {
		names[i] = fmt.Sprintf("n%02d.many.example.com", i)
		d.add(names[i], nil)
		if i == 20 {
			ca.Down()
		}
	}
	d.wait("orders have met the silence", func() error {
		if ca.Refused() < 4 {
			return fmt.Errorf("%d", ca.Refused())
		}
		return nil
	})
	ca.Up()
	d.waitFor(3*time.Minute, "all have a certificate", func() error {
		found, err := filepath.Glob(filepath.Join(d.dir, "share", "caddy", "certificates", "*", "*.many.example.com", "*.crt"))
		if err == nil && len(found) < len(names) {
			err = fmt.Errorf("%d", len(found))
		}
		return err
	})
	for _, name := range slices.Compact([]string{names[0], names[49]}) {
		if a := d.secure(ca, name); a.status != 200 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
}
