// Identity: the certificate that Pebble's own API shows, made for one test.

package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// identity is a certificate for loopback addresses and the root that signs it. It
// is new for each CA, so that a client that trusts one takes no other for it.
type identity struct {
	rootFile, certFile, keyFile string // PEM
	trust                       *x509.CertPool
	cert                        tls.Certificate
}

func newIdentity(folder string) (identity, error) {
	id := identity{
		rootFile: filepath.Join(folder, "root.pem"),
		certFile: filepath.Join(folder, "cert.pem"),
		keyFile:  filepath.Join(folder, "key.pem"),
		trust:    x509.NewCertPool(),
	}
	begin, end := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return id, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Testkit API Root"}, NotBefore: begin, NotAfter: end,
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return id, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return id, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Testkit API"}, NotBefore: begin, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	if err != nil {
		return id, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return id, err
	}
	rootPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for name, content := range map[string][]byte{id.rootFile: rootPEM, id.certFile: certPEM, id.keyFile: keyPEM} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return id, err
		}
	}
	id.trust.AppendCertsFromPEM(rootPEM)
	id.cert, err = tls.X509KeyPair(certPEM, keyPEM)
	return id, err
}
