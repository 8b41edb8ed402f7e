// Hurry: a name whose owner has set the DNS is not left to wait for its turn.

package certificates_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"iter"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// hurryHosts are names of one instance.
type hurryHosts []string

func (h hurryHosts) Owner(name string) (certificates.Owner, bool) {
	for _, n := range h {
		if n == name {
			return certificates.Owner{Instance: "0a"}, true
		}
	}
	return certificates.Owner{}, false
}

func (h hurryHosts) Names() iter.Seq2[string, certificates.Owner] {
	return func(yield func(string, certificates.Owner) bool) {
		for _, n := range h {
			if !yield(n, certificates.Owner{Instance: "0a"}) {
				return
			}
		}
	}
}

func (hurryHosts) Quarantined(string) bool                                     { return false }
func (hurryHosts) Loaded() bool                                                { return true }
func (hurryHosts) Installed(context.Context, certificates.Owner) (bool, error) { return true, nil }

func (hurryHosts) Gone(context.Context, *certificates.Record) (bool, error) {
	return false, nil
}

// hurryWorld is a DNS and an authority, which both come to reason when they are told.
type hurryWorld struct {
	key   *ecdsa.PrivateKey
	right atomic.Bool // the DNS
	open  atomic.Bool // the authority
}

func (w *hurryWorld) LookupCNAME(_ context.Context, host string) (string, error) {
	if w.right.Load() || host == "refused.example.com." {
		return "edge.example.net.", nil
	}
	return "", &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (w *hurryWorld) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func (w *hurryWorld) LookupTXT(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func (w *hurryWorld) IssuerKey() string { return "test" }

func (w *hurryWorld) Issue(_ context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if !w.open.Load() {
		return nil, errors.New("closed")
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(7), DNSNames: csr.DNSNames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, csr.PublicKey, w.key)
	if err != nil {
		return nil, err
	}
	return &certmagic.IssuedCertificate{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// TestHurry: by the front door that orders, and by another one, of whose writing the
// first hears from the store.
func TestHurry(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"leader", "other"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			world := &hurryWorld{key: key}
			cluster := testkit.EmbeddedStore(t).Cluster
			names := hurryHosts{"alice.example.com", "refused.example.com"}
			settings := certificates.Settings{
				Storage: &certmagic.FileStorage{Path: t.TempDir()}, Issuers: []certmagic.Issuer{world}, DisableOCSPStapling: true,
				Proof: &certificates.Proof{Names: []string{"edge.example.net"}, Resolver: world},
			}
			if _, err := cluster.CreateDB(t.Context(), provision.TLSDB); err != nil {
				t.Fatal(err)
			}
			front := func(node string) *certificates.Service {
				s := certificates.New(certificates.Options{Cluster: cluster, Hosts: names, Node: node})
				own := settings
				s.Use(&own)
				return s
			}
			leader, other := front("leader"), front("other")
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { leader.Run(ctx) })
			defer running.Wait()
			defer cancel()
			ended, end := context.WithCancel(context.Background())
			end()
			defer other.Run(ended) // lets go of its memory

			all := func(a, b certificates.State) func() bool {
				return func() bool {
					found, err := other.Records(t.Context(), names)
					return err == nil && len(found) == 2 && found[names[0]].State == a && found[names[1]].State == b
				}
			}
			hurryUntil(t, all(certificates.Waiting, certificates.Failed))
			world.right.Store(true)
			world.open.Store(true)
			who := map[string]*certificates.Service{"leader": leader, "other": other}[by]
			begun := time.Now()
			if err := who.Hurry(t.Context(), append(names, "nobody.example.com")); err != nil {
				t.Fatal(err)
			}
			hurryUntil(t, all(certificates.Issued, certificates.Issued))
			if d := time.Since(begun); d > 20*time.Second {
				t.Errorf("it took %v, and by itself it is 30 s", d)
			}
			// What is there is left alone.
			before, err := leader.Records(t.Context(), names)
			if err != nil {
				t.Fatal(err)
			}
			if err := who.Hurry(t.Context(), names); err != nil {
				t.Fatal(err)
			}
			after, err := leader.Records(t.Context(), names)
			if err != nil || after[names[0]].Rev != before[names[0]].Rev || after[names[1]].Rev != before[names[1]].Rev {
				t.Errorf("issued ones were written anew (%v)", err)
			}
			who.Use(nil)
			if err := who.Hurry(t.Context(), names); !errors.Is(err, certificates.ErrInactive) {
				t.Errorf("without a configuration: %v", err)
			}
		})
	}
}

// hurryUntil waits until something holds.
func hurryUntil(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(45 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("not within 45 s")
		}
	}
}
