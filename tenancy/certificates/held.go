// Held: the certificates in the storage, as a leader sees them.

package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// heldCertificate is a certificate in the storage.
type heldCertificate struct {
	issuer string // its key
	leaf   *x509.Certificate
	pem    []byte
	meta   []byte
}

// serialOf is the serial number of a certificate, as a Record has it.
func serialOf(leaf *x509.Certificate) string { return hex.EncodeToString(leaf.SerialNumber.Bytes()) }

// certificate is what certmagic's interfaces take.
func (h *heldCertificate) certificate() certmagic.Certificate {
	var c certmagic.Certificate
	c.Leaf, c.Names = h.leaf, h.leaf.DNSNames
	return c
}

// resource is what certmagic's issuers revoke.
func (h *heldCertificate) resource() certmagic.CertificateResource {
	res := certmagic.CertificateResource{SANs: h.leaf.DNSNames, CertificatePEM: h.pem}
	var stored certmagic.CertificateResource
	if json.Unmarshal(h.meta, &stored) == nil {
		res.IssuerData = stored.IssuerData
	}
	return res
}

// held reads the newest certificate of a name that an issuer of the configuration has
// made; nil where there is none.
func (w *leading) held(ctx context.Context, name string) (best *heldCertificate, err error) {
	for _, issuer := range w.settings().Issuers {
		h, err := w.heldFrom(ctx, issuer.IssuerKey(), name)
		if err != nil && !errors.Is(err, errBroken) {
			return nil, err
		}
		if h != nil && (best == nil || h.leaf.NotBefore.After(best.leaf.NotBefore)) {
			best = h
		}
	}
	return best, nil
}

// errBroken: what is in the storage cannot be served, as where its writer has died
// between the key and the certificate.
var errBroken = errors.New("the certificate in the storage cannot be used")

// heldFrom is held, of one issuer; nil where something of it is missing.
func (w *leading) heldFrom(ctx context.Context, issuer, name string) (*heldCertificate, error) {
	var parts [3][]byte
	for i, key := range []string{
		certmagic.StorageKeys.SiteCert(issuer, name),
		certmagic.StorageKeys.SitePrivateKey(issuer, name),
		certmagic.StorageKeys.SiteMeta(issuer, name),
	} {
		var err error
		parts[i], err = w.settings().Storage.Load(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(parts[0], parts[1])
	if err == nil && !json.Valid(parts[2]) {
		err = errors.New("what is known of its issuer is no JSON")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	return &heldCertificate{issuer: issuer, leaf: pair.Leaf, pem: parts[0], meta: parts[2]}, nil
}

// clear removes what is broken of a name from the storage: certmagic takes it for a
// certificate, and orders none in its place.
func (w *leading) clear(ctx context.Context, name string) error {
	broken := func() (keys []string, err error) {
		for _, issuer := range w.settings().Issuers {
			key := issuer.IssuerKey()
			if _, err := w.heldFrom(ctx, key, name); errors.Is(err, errBroken) {
				w.log.Warn("a certificate is ordered anew", zap.String("name", name), zap.String("issuer", key), zap.Error(err))
				keys = append(keys, key)
			} else if err != nil {
				return nil, err
			}
		}
		return keys, nil
	}
	if keys, err := broken(); err != nil || len(keys) == 0 {
		return err
	}
	return w.locked(ctx, name, func() error {
		keys, err := broken() // perhaps it was being written
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := w.delete(ctx, certmagic.StorageKeys.CertsSitePrefix(key, name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// locked calls fn under certmagic's own lock of issuing, so that no order of the name is
// under way.
func (w *leading) locked(ctx context.Context, name string, fn func() error) error {
	storage, lock := w.settings().Storage, "issue_cert_"+name
	if err := storage.Lock(ctx, lock); err != nil {
		return fmt.Errorf("locking %s: %w", name, err)
	}
	defer func() {
		if err := storage.Unlock(context.WithoutCancel(ctx), lock); err != nil {
			w.log.Warn("unlocking the certificate of a name", zap.String("name", name), zap.Error(err))
		}
	}()
	return fn()
}

// delete takes a key, or what is below it, out of the storage; of what is not there
// nothing is to do.
func (w *leading) delete(ctx context.Context, key string) error {
	if err := w.settings().Storage.Delete(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
