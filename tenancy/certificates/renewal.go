// Renewal: when a certificate is renewed.

package certificates

import (
	"context"
	"crypto/x509"
	"errors"
	"hash/fnv"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

const (
	// defaultRatio of a certificate's lifetime is left when it may be renewed; certmagic's.
	defaultRatio = 1.0 / 3
	// ariEvery is how often the authority is asked when to renew, unless it wants to be
	// asked sooner: it may have to revoke, which it says by this (RFC 9773, section 4.3).
	ariEvery = 24 * time.Hour
	// ariLeast is how often at most it is asked, whatever it says.
	ariLeast = time.Minute
	// ariAgain is the pause after an authority has not answered.
	ariAgain = time.Hour
	// ariTime bounds a question.
	ariTime = 10 * time.Second
	// youngest is how old a certificate is at least when it is renewed for the authority's
	// advice; a tenth of its life, where that is less. An authority that errs would have it
	// renewed again and again.
	youngest = 6 * time.Hour
	// latest is the part of its life that is left when advice to wait is not followed any
	// more; certmagic's.
	latest = 20
)

// renewAt is when a certificate is renewed without the authority's advice: in the first
// half of the time that ratio leaves, spread by its name.
func renewAt(leaf *x509.Certificate, name string, ratio float64) time.Time {
	if ratio <= 0 || ratio >= 1 {
		ratio = defaultRatio
	}
	left := time.Duration(float64(leaf.NotAfter.Sub(leaf.NotBefore)) * ratio)
	return leaf.NotAfter.Add(spread(name, left/2) - left).UTC().Truncate(time.Second)
}

// spread is a part of a time, by a name.
func spread(name string, over time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return time.Duration(float64(over) * float64(h.Sum32()) / (1 << 32))
}

// renewal is when a certificate is renewed without advice.
func (w *leading) renewal(held *heldCertificate, name string) time.Time {
	return renewAt(held.leaf, name, w.settings().RenewalWindowRatio)
}

// advised is when a certificate is renewed by the authority's advice. Advice that comes
// too late for the certificate is not followed.
func advised(info acme.RenewalInfo, otherwise, notBefore, notAfter time.Time) time.Time {
	renew := info.SelectedTime
	if renew.IsZero() {
		renew = info.SuggestedWindow.Start
	}
	if renew.IsZero() || !renew.Before(notAfter) {
		return otherwise
	}
	life := notAfter.Sub(notBefore)
	if least := notBefore.Add(min(life/10, youngest)); renew.Before(least) {
		renew = least
	}
	if most := notAfter.Add(-life / latest); renew.After(most) {
		renew = most
	}
	return renew.UTC().Truncate(time.Second)
}

// askAgain is when an authority is asked next.
func askAgain(info acme.RenewalInfo, now time.Time) time.Time {
	wait := ariEvery
	if info.RetryAfter != nil {
		wait = min(max(info.RetryAfter.Sub(now), ariLeast), ariEvery)
	}
	return now.Add(wait).UTC().Truncate(time.Second)
}

// advice asks the authority anew when to renew.
func (w *leading) advice(ctx context.Context, rec *Record) (next time.Time, err error) {
	held, err := w.held(ctx, rec.Name)
	if err != nil {
		return next, err
	}
	if held == nil || !rec.is(held) { // somebody has removed it, or renewed
		return w.order(ctx, rec)
	}
	w.consult(ctx, rec, held)
	return rec.due(), w.records.put(ctx, rec)
}

// consult asks the issuer of a certificate, if it gives advice, when to renew it.
func (w *leading) consult(ctx context.Context, rec *Record, held *heldCertificate) {
	rec.ARI = time.Time{}
	for _, issuer := range w.settings().Issuers {
		getter, ok := issuer.(certmagic.RenewalInfoGetter)
		if !ok || issuer.IssuerKey() != held.issuer {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, ariTime)
		info, err := getter.GetRenewalInfo(ctx, held.certificate())
		cancel()
		now := w.s.Now()
		switch {
		case errors.Is(err, acme.ErrUnsupported): // as by many
			rec.ARI = now.Add(ariEvery).UTC().Truncate(time.Second)
		case err != nil:
			rec.ARI = now.Add(ariAgain).UTC().Truncate(time.Second)
		default:
			rec.RenewAt = advised(info, rec.RenewAt, rec.NotBefore, rec.NotAfter)
			rec.ARI = askAgain(info, now)
		}
		return
	}
}
