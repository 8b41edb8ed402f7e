// What is done at each handshake and each request: how long it takes, and what it
// allocates.

package certificates

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// selfSigner implements certmagic.Issuer.
type selfSigner struct{ key *ecdsa.PrivateKey }

func (selfSigner) IssuerKey() string { return "self" }

func (s selfSigner) Issue(_ context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	leaf := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: csr.DNSNames, NotBefore: time.Now(), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, csr.PublicKey, s.key)
	if err != nil {
		return nil, err
	}
	return &certmagic.IssuedCertificate{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

func benchKeeper(b *testing.B, names int) *keeper {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	k := newKeeper(zap.NewNop(), time.Now, func(string) {})
	b.Cleanup(k.close)
	k.use(&Settings{Storage: &certmagic.FileStorage{Path: b.TempDir()}, Issuers: []certmagic.Issuer{selfSigner{key}}, DisableOCSPStapling: true, DisableStorageCheck: true})
	for i := range names {
		name := fmt.Sprintf("n%d.bench.example.com", i)
		if err := k.magic.Load().orders.ObtainCertSync(b.Context(), name); err != nil {
			b.Fatal(err)
		}
		if _, err := k.get(b.Context(), name); err != nil {
			b.Fatal(err)
		}
	}
	return k
}

func BenchmarkCertificateFromMemory(b *testing.B) {
	k := benchKeeper(b, 100)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := k.get(b.Context(), "n50.bench.example.com"); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkCertificateFromStorage(b *testing.B) {
	k := benchKeeper(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		k.forget("n0.bench.example.com")
		if _, err := k.get(b.Context(), "n0.bench.example.com"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCovers(b *testing.B) {
	s := &Settings{Wildcards: []string{"*.one.example", "*.two.example", "*.three.example"}}
	b.ReportAllocs()
	for b.Loop() {
		s.Covers("alice.example.com")
	}
}

func BenchmarkQualifies(b *testing.B) {
	s := &Settings{Wildcards: []string{"*.one.example"}, Public: true}
	b.ReportAllocs()
	for b.Loop() {
		s.qualifies("alice.example.com")
	}
}

func BenchmarkBudgets(b *testing.B) {
	budgets := newBudgets(DefaultLimits)
	now := start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Minute)
		budgets.take("alice.example.com", kind{first: true}, now)
	}
}

// TestNothingIsAllocated where a name is only looked at.
func TestNothingIsAllocated(t *testing.T) {
	for _, public := range []bool{false, true} {
		s := &Settings{Wildcards: []string{"*.one.example", "*.two.example"}, Public: public}
		if n := testing.AllocsPerRun(100, func() {
			s.Covers("a.two.example")
			s.qualifies("alice.example.com")
		}); n != 0 {
			t.Errorf("%v allocations, with public %v", n, public)
		}
	}
}
