// A front door for the tests of the CA: CertMagic with listeners of the test.

package testkit_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// front obtains certificates from a CA, and answers its challenges.
type front struct {
	*testkit.CA
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

// newFront starts a CA and what it connects to. The ports are held before the CA is
// told of them, so that no other process can have them.
func newFront(t *testing.T, options testkit.PebbleOptions, change func(*certmagic.ACMEIssuer)) *front {
	t.Helper()
	plain, secure := listen(t), listen(t)
	options.HTTPPort = plain.Addr().(*net.TCPAddr).Port
	options.TLSPort = secure.Addr().(*net.TCPAddr).Port
	f := &front{CA: testkit.Pebble(t, options)}

	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return f.config, nil },
		Logger:           zap.NewNop(),
	})
	t.Cleanup(cache.Stop)
	f.config = certmagic.New(cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: t.TempDir()},
		Logger:  zap.NewNop(),
	})
	template := certmagic.ACMEIssuer{
		CA: f.Directory, TrustedRoots: f.Trust, Email: "ops@example.test", Agreed: true,
		ListenHost: "127.0.0.1", AltHTTPPort: options.HTTPPort, AltTLSALPNPort: options.TLSPort,
		DisableTLSALPNChallenge: true, Logger: zap.NewNop(),
	}
	if change != nil {
		change(&template)
	}
	f.issuer = certmagic.NewACMEIssuer(f.config, template)
	f.config.Issuers = []certmagic.Issuer{f.issuer}

	serve(t, plain, f.issuer.HTTPChallengeHandler(http.NotFoundHandler()))
	serve(t, tls.NewListener(secure, f.config.TLSConfig()), http.NotFoundHandler())
	return f
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // its server may have closed it
	return listener
}

func serve(t *testing.T, listener net.Listener, handler http.Handler) {
	t.Helper()
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)} // of what the CA probes
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) }) // it ends with ErrServerClosed
	t.Cleanup(func() {
		_ = server.Close()
		running.Wait()
	})
}

// obtain gets a certificate, without repetition where that fails.
func (f *front) obtain(t *testing.T, name string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return f.config.ObtainCertSync(ctx, name)
}

// must gets a certificate, which the CA's chain verifies.
func (f *front) must(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	if err := f.obtain(t, name); err != nil {
		t.Fatal(err)
	}
	cert, err := f.config.CacheManagedCertificate(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: f.Roots, Intermediates: f.Intermediates}); err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}
