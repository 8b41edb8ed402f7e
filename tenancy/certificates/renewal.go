// Renewal: when a certificate is renewed.

package certificates

import (
	"crypto/x509"
	"hash/fnv"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

const (
	// defaultRatio of a certificate's lifetime is left when it may be renewed; certmagic's.
	defaultRatio = 1.0 / 3
	// ariEvery is how often the authority is asked when to renew, unless it wants to be
	// asked less often: it may have to revoke, which it says by this (RFC 9773, section 4.3).
	ariEvery = 24 * time.Hour
)

// renewAt is when a certificate is renewed without the authority's advice: in the first
// half of the time that ratio leaves, spread by its name.
func renewAt(leaf *x509.Certificate, name string, ratio float64) time.Time {
	if ratio <= 0 || ratio >= 1 {
		ratio = defaultRatio
	}
	left := time.Duration(float64(leaf.NotAfter.Sub(leaf.NotBefore)) * ratio)
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	spread := time.Duration(float64(left) / 2 * float64(h.Sum32()) / (1 << 32))
	return leaf.NotAfter.Add(spread - left).UTC().Truncate(time.Second)
}

// advised is when a certificate is renewed by the authority's advice, and when it is
// asked next. Advice that comes too late for the certificate is not followed.
func advised(info acme.RenewalInfo, otherwise, notAfter, now time.Time) (renew, ask time.Time) {
	ask = now.Add(ariEvery)
	if info.RetryAfter != nil && info.RetryAfter.After(now) && info.RetryAfter.Before(ask) {
		ask = *info.RetryAfter
	}
	renew = info.SelectedTime
	if renew.IsZero() {
		renew = info.SuggestedWindow.Start
	}
	if renew.IsZero() || !renew.Before(notAfter) {
		renew = otherwise
	}
	return renew.UTC().Truncate(time.Second), ask.UTC().Truncate(time.Second)
}
