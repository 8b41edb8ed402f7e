// Remove: the certificate of a name that is nobody's any more.

package certificates

import (
	"context"
	"errors"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
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
		return w.s.Now().Add(w.doubts.next(rec.Name)), nil
	}
	w.doubts.end(rec.Name)
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	err = w.locked(ctx, rec.Name, func() error { return w.remove(ctx, rec) })
	if errors.Is(err, errBack) {
		return w.s.Now(), nil
	}
	if err != nil {
		return next, err
	}
	w.s.keeper.forget(rec.Name)
	if err := w.records.drop(ctx, rec); err != nil {
		return next, err
	}
	w.s.counters.removed.Add(1)
	w.log.Info("the certificate of a name that has gone is removed", zap.String("name", rec.Name))
	return next, nil
}

// errBack: somebody has the name again.
var errBack = errors.New("the name is somebody's again")

// remove takes what there is of a name out of the storage; but nothing of one that has
// come back. No order of it is under way.
func (w *leading) remove(ctx context.Context, rec *Record) error {
	if _, back := w.s.Hosts.Owner(rec.Name); back {
		return errBack
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
		if err != nil && !errors.Is(err, errBroken) {
			return err
		}
		if held != nil {
			if err := w.revoke(ctx, issuer, held, rec.Name); err != nil {
				return err
			}
			cert := held.certificate()
			if err := w.delete(ctx, certmagic.StorageKeys.OCSPStaple(&cert, held.pem)); err != nil {
				return err
			}
		}
		if err := w.delete(ctx, certmagic.StorageKeys.CertsSitePrefix(key, rec.Name)); err != nil {
			return err
		}
	}
	return nil
}

// revoke revokes a certificate where that is wanted. One that cannot be revoked expires;
// an error says only that there was no time to try.
func (w *leading) revoke(ctx context.Context, issuer certmagic.Issuer, held *heldCertificate, name string) error {
	revoker, ok := issuer.(certmagic.Revoker)
	if !w.settings.Revoke || !ok || held.leaf.NotAfter.Before(w.s.Now()) {
		return nil
	}
	err := revoker.Revoke(ctx, held.resource(), cessation)
	var problem acme.Problem
	switch {
	case err == nil:
		w.s.counters.revoked.Add(1)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &problem) && problem.Type == acme.ProblemTypeAlreadyRevoked: // by who died before the removal
	default:
		w.log.Warn("a certificate could not be revoked; it expires by itself", zap.String("name", name), zap.Time("not_after", held.leaf.NotAfter), zap.Error(err))
	}
	return nil
}
