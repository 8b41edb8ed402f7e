// Back-off: when an order that has failed is tried again.

package certificates

import (
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// backOff are the pauses after failures in a row, as Let's Encrypt's integration guide
// has them: a minute, ten, a hundred, a day.
// https://letsencrypt.org/docs/integration-guide/
var backOff = []time.Duration{time.Minute, 10 * time.Minute, 100 * time.Minute, 24 * time.Hour}

// silence is the pause after the first failure without an answer: of the authority, the
// network, or the storage. It doubles, up to silenceMost.
const (
	silence     = 5 * time.Second
	silenceMost = 5 * time.Minute
)

// failure says what an authority's refusal means.
type failure struct {
	wait    time.Duration // until the next try
	account bool          // all orders have to wait, not just this one
}

// retryAfter is how Let's Encrypt writes in a problem when there is room again; acmez
// gives no Retry-After.
var retryAfter = regexp.MustCompile(`retry after (\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)`)

// judge decides by an error and the number of failures in a row before it.
func judge(err error, tries int, now time.Time) failure {
	f := failure{wait: backOff[min(tries, len(backOff)-1)]}
	var problem acme.Problem
	if !errors.As(err, &problem) || problem.Status >= http.StatusInternalServerError {
		f.wait = min(silence<<min(tries, 10), silenceMost)
		return f
	}
	if problem.Type == acme.ProblemTypeRateLimited || problem.Status == http.StatusTooManyRequests {
		if at := retryAfter.FindStringSubmatch(problem.Detail); at != nil {
			if until, err := time.Parse(time.DateTime, at[1][:10]+" "+at[1][11:]); err == nil && until.After(now) {
				f.wait = min(until.Sub(now), 7*24*time.Hour)
			}
		}
		f.account = !limitOfName.MatchString(problem.Detail)
	}
	return f
}

// limitOfName is what the details have of limits that concern one name or domain, and
// no other.
var limitOfName = regexp.MustCompile(`exact set|too many certificates|failed authorizations|authorizations for`)
