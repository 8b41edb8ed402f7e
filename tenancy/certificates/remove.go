// Remove: the certificate of a name that is nobody's any more.

package certificates

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	// leaveTime bounds the removal of one name's certificates.
	leaveTime = time.Minute
	// cessation is the reason of a revocation: the domain is not served any more; RFC
	// 5280, section 5.3.1.
	cessation = 5
	// doubt is the first pause where the directory and the store differ in who has a name:
	// a destroy removes the record a moment before the claims. It doubles, up to doubtMost.
	doubt     = 500 * time.Millisecond
	doubtMost = sweepEvery
)

// leave removes the certificates of a name that nobody has; in quarantine they stay,
// since they show the page with the reason.
func (w *leading) leave(ctx context.Context, rec *Record) (next time.Time, err error) {
	if w.s.Hosts.Quarantined(rec.Name) {
		return w.s.Now().Add(sweepEvery), nil
	}
	gone, err := w.s.Hosts.Gone(ctx, rec)
	if err != nil {
		return next, err
	}
	if !gone {
		return w.s.Now().Add(w.doubts.pause(rec.Name)), nil
	}
	w.doubts.end(rec.Name)
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	if removed, err := w.remove(ctx, rec); !removed {
		return w.s.Now(), err
	}
	w.s.keeper.forget(rec.Name)
	if err := w.records.drop(ctx, rec); err != nil {
		return next, err
	}
	w.s.counters.removed.Add(1)
	w.log.Info("the certificate of a name that has gone is removed", zap.String("name", rec.Name))
	return next, nil
}

// remove takes what there is of a name out of the storage, under certmagic's own lock of
// issuing, so that no order of it is under way; but nothing of one that has come back.
func (w *leading) remove(ctx context.Context, rec *Record) (removed bool, err error) {
	storage := w.settings.Storage
	lock := "issue_cert_" + rec.Name
	if err := storage.Lock(ctx, lock); err != nil {
		return false, fmt.Errorf("locking %s: %w", rec.Name, err)
	}
	defer func() {
		if err := storage.Unlock(context.WithoutCancel(ctx), lock); err != nil {
			w.log.Warn("unlocking the certificate of a name", zap.String("name", rec.Name), zap.Error(err))
		}
	}()
	if _, back := w.s.Hosts.Owner(rec.Name); back {
		return false, nil
	}
	issuers := map[string]certmagic.Issuer{}
	if rec.Issuer != "" {
		issuers[rec.Issuer] = nil // of a configuration before this one, perhaps
	}
	for _, issuer := range w.settings.Issuers {
		issuers[issuer.IssuerKey()] = issuer
	}
	for key, issuer := range issuers {
		held, err := w.heldFrom(ctx, key, rec.Name)
		if err != nil {
			return false, err
		}
		if held != nil {
			w.revoke(ctx, issuer, held, rec.Name)
			cert := held.certificate()
			if err := storage.Delete(ctx, certmagic.StorageKeys.OCSPStaple(&cert, held.pem)); err != nil {
				return false, err
			}
		}
		if err := storage.Delete(ctx, certmagic.StorageKeys.CertsSitePrefix(key, rec.Name)); err != nil {
			return false, err
		}
	}
	return true, nil
}

// revoke revokes a certificate where that is wanted. One that cannot be revoked expires.
func (w *leading) revoke(ctx context.Context, issuer certmagic.Issuer, held *heldCertificate, name string) {
	revoker, ok := issuer.(certmagic.Revoker)
	if !w.settings.Revoke || !ok || held.leaf.NotAfter.Before(w.s.Now()) {
		return
	}
	meta, err := w.settings.Storage.Load(ctx, certmagic.StorageKeys.SiteMeta(held.issuer, name))
	if err == nil {
		err = revoker.Revoke(ctx, held.resource(meta), cessation)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		w.log.Warn("a certificate could not be revoked; it expires by itself", zap.String("name", name), zap.Time("not_after", held.leaf.NotAfter), zap.Error(err))
		return
	}
	w.s.counters.revoked.Add(1)
}

// doubts count how often names were found that the directory does not know, and somebody
// has by the store. They are safe for concurrent use.
type doubts struct {
	mu    sync.Mutex
	times map[string]int // bounded by the queue
}

// pause is the next one of a name.
func (d *doubts) pause(name string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.times == nil || len(d.times) > maxQueue {
		d.times = map[string]int{}
	}
	n := d.times[name]
	d.times[name]++
	return min(doubt<<min(n, 20), doubtMost)
}

// end forgets a name.
func (d *doubts) end(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.times, name)
}
