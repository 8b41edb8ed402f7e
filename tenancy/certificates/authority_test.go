// An authority that signs at once, counts, and fails or blocks as it is told.

package certificates_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// authority implements certmagic.Issuer and certmagic.Revoker.
type authority struct {
	name  string
	clock *clock
	key   *ecdsa.PrivateKey
	root  *x509.Certificate

	mu      sync.Mutex
	life    time.Duration
	age     time.Duration             // of certificates when they are issued
	fail    func(name string) error   // nil for never
	gate    chan struct{}             // orders wait until it is closed; nil for not at all
	asked   map[string]int            // orders, also those that failed
	orders  int                       // that brought a certificate
	revoked map[string]int            // by serial number: the reason
	began   chan string               // has the names of orders, where there is room
	refuse  func(serial string) error // of revocations
}

// authorityKey is written otherwise in a storage, as the keys of real ones are.
const authorityKey = "ca.example:14000-dir"

func newAuthority(t testing.TB, name string, c *clock) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour), SubjectKeyId: []byte(name),
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	must(t, err)
	root, err = x509.ParseCertificate(der)
	must(t, err)
	return &authority{
		name: name, clock: c, key: key, root: root, life: 90 * 24 * time.Hour,
		asked: map[string]int{}, revoked: map[string]int{}, began: make(chan string, 1000),
	}
}

func (a *authority) set(fn func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fn()
}

// block lets orders wait until the function is called.
func (a *authority) block() (open func()) {
	gate := make(chan struct{})
	a.set(func() { a.gate = gate })
	return sync.OnceFunc(func() {
		a.set(func() { a.gate = nil })
		close(gate)
	})
}

func (a *authority) fails(fn func(name string) error) { a.set(func() { a.fail = fn }) }

// count is how often a certificate was issued.
func (a *authority) count() (n int) {
	a.set(func() { n = a.orders })
	return n
}

// asks is how often a name was asked for.
func (a *authority) asks(name string) (n int) {
	a.set(func() { n = a.asked[name] })
	return n
}

// reason is that of a revocation; 0 for none.
func (a *authority) reason(serial string) (n int) {
	a.set(func() { n = a.revoked[serial] })
	return n
}

// next waits for the next order, and gives its name.
func (a *authority) next(t testing.TB) string {
	t.Helper()
	select {
	case name := <-a.began:
		return name
	case <-time.After(40 * time.Second):
		t.Fatal("no order was made")
		return ""
	}
}

func (a *authority) IssuerKey() string { return a.name }

func (a *authority) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	name := csr.DNSNames[0]
	a.mu.Lock()
	a.asked[name]++
	fail, gate := a.fail, a.gate
	a.mu.Unlock()
	select {
	case a.began <- name:
	default:
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if fail != nil {
		if err := fail(name); err != nil {
			return nil, err
		}
	}
	return a.sign(csr.DNSNames, csr.PublicKey)
}

func (a *authority) sign(names []string, public any) (*certmagic.IssuedCertificate, error) {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	begin := a.clock.Now().Add(-a.age)
	leaf := &x509.Certificate{
		SerialNumber: number, DNSNames: names, NotBefore: begin, NotAfter: begin.Add(a.life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.root, public, a.key)
	if err != nil {
		return nil, err
	}
	a.orders++
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})...)
	return &certmagic.IssuedCertificate{Certificate: chain, Metadata: map[string]string{"by": a.name}}, nil
}

func (a *authority) Revoke(_ context.Context, cert certmagic.CertificateResource, reason int) error {
	block, _ := pem.Decode(cert.CertificatePEM)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	if string(cert.IssuerData) == "" {
		return fmt.Errorf("no data of the issuer for %v", cert.SANs)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil {
		if err := a.refuse(serial(leaf)); err != nil {
			return err
		}
	}
	a.revoked[serial(leaf)] = reason
	return nil
}

// advising is an authority with renewal information.
type advising struct {
	*authority
	advice func(certmagic.Certificate) (acme.RenewalInfo, error)
}

func (a *advising) GetRenewalInfo(_ context.Context, cert certmagic.Certificate) (acme.RenewalInfo, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.advice(cert)
}

// window is renewal information.
func window(start, end time.Time) acme.RenewalInfo {
	var info acme.RenewalInfo
	info.SuggestedWindow.Start, info.SuggestedWindow.End = start, end
	return info
}
