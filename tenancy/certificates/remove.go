// Remove: the certificate of a name that is nobody's any more.

package certificates

import (
	"context"
	"errors"
	"io/fs"
	"path"
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
		return next, nil // a sweep finds its end
	}
	if w.mislaid(rec) {
		if w.s.Now().Before(rec.NotAfter) {
			return next, nil // a sweep finds it when it has expired
		}
		return w.discard(ctx, rec, w.unowned)
	}
	if room, _ := w.budgets.removals(w.s.Now()); rec.Held() && room <= 0 { // before the store is asked
		w.braked(w.s.Now())
		return next, nil // a sweep finds it when there is room
	}
	gone, err := w.s.Hosts.Gone(ctx, rec)
	if err != nil {
		return next, err
	}
	if !gone {
		pause := w.doubts.next(rec.Name)
		if pause == doubtMost { // as of a claim that was left behind
			return next, nil
		}
		return w.s.Now().Add(pause), nil
	}
	w.doubts.end(rec.Name)
	return w.discard(ctx, rec, w.unowned)
}

// mislaid tells whether a name that nobody has is the host of an app of an instance that
// is there: the configuration has its apps elsewhere now, and may change its mind.
func (w *leading) mislaid(rec *Record) bool {
	if rec.Parent == "" {
		return false
	}
	_, known := w.s.Hosts.Owner(rec.Parent)
	return known
}

// unowned is errBack for a name that somebody has again.
func (w *leading) unowned(rec *Record) error {
	if _, back := w.s.Hosts.Owner(rec.Name); back {
		return errBack
	}
	return nil
}

// discard removes the certificates of a name, and its record, unless check, which is
// asked while no order of it is under way, has an error.
func (w *leading) discard(ctx context.Context, rec *Record, check func(*Record) error) (next time.Time, err error) {
	held := rec.Held() // else nothing is lost, and nothing counts
	if held {
		if again := w.budgets.remove(w.s.Now()); !again.IsZero() {
			w.braked(again)
			return again, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	err = w.locked(ctx, rec.Name, func() error {
		if err := check(rec); err != nil {
			return err
		}
		return w.remove(ctx, rec)
	})
	if err != nil && held {
		w.budgets.unremove()
	}
	if errors.Is(err, errBack) {
		return w.s.Now(), nil
	}
	if err != nil {
		return next, err
	}
	w.s.keeper.forget(rec.Name)
	w.ledger.depart(rec, w.s.Now())
	if err := w.records.drop(ctx, rec); err != nil {
		return next, err
	}
	w.s.counters.removed.Add(1)
	w.log.Info("the certificate of a name that has gone is removed", zap.String("name", rec.Name))
	return next, nil
}

// braked tells, at times, that removals wait until again, since there have been many.
func (w *leading) braked(again time.Time) {
	w.s.counters.braked.Add(1)
	now := w.s.Now()
	if last := w.warned.Load(); last == nil || now.Sub(*last) >= warnEvery {
		w.warned.Store(&now)
		_, most := w.budgets.removals(now)
		w.log.Error("so many names have gone that the removal of their certificates is slowed down; were records of instances lost?",
			zap.Int("removals_in_a_time", most), zap.Time("next", again))
	}
}

// warnEvery is how often at most it is told that removals are slowed down.
const warnEvery = 10 * time.Minute

// errBack: somebody has the name again.
var errBack = errors.New("the name is somebody's again")

// certificatesDir is where certmagic has the certificates of all issuers, by their keys.
const certificatesDir = "certificates"

// remove takes what there is of a name out of the storage. No order of it is under way.
func (w *leading) remove(ctx context.Context, rec *Record) error {
	issuers := map[string]certmagic.Issuer{} // by their keys as the storage has them
	if rec.Issuer != "" {
		issuers[certmagic.StorageKeys.Safe(rec.Issuer)] = nil
	}
	// Those of configurations before this one may have left something.
	before, err := w.settings().Storage.List(ctx, certificatesDir, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, dir := range before {
		issuers[path.Base(dir)] = nil
	}
	for _, issuer := range w.settings().Issuers {
		issuers[certmagic.StorageKeys.Safe(issuer.IssuerKey())] = issuer
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
	if !w.settings().Revoke || !ok || held.leaf.NotAfter.Before(w.s.Now()) {
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
