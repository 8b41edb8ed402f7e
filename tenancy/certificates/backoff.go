// Back-off: when an order that has failed is tried again.

package certificates

import (
	"context"
	"errors"
	"net"
	"net/http"
	"regexp"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// backOff are the pauses after failures in a row, as Let's Encrypt's integration guide
// has them: a minute, ten, a hundred, a day.
// https://letsencrypt.org/docs/integration-guide/
var backOff = []time.Duration{time.Minute, 10 * time.Minute, 100 * time.Minute, 24 * time.Hour}

const (
	// silence is the pause after the first failure without an answer of the authority's.
	// It doubles, up to silenceMost where nobody was reached, and up to unknownMost where
	// it is not known what was: the storage fails so, but also an order that is begun and
	// not finished, which counts.
	silence     = 5 * time.Second
	silenceMost = 5 * time.Minute
	unknownMost = time.Hour
	// heldMost bounds a pause for all that an authority has asked for without a time.
	heldMost = 10 * time.Minute
	// retryMost bounds the pauses that an authority asks for; its longest window is a week.
	retryMost = 7 * 24 * time.Hour
)

// failure says what an authority's refusal means.
type failure struct {
	wait    time.Duration // until the next try
	account time.Duration // until another order may be made at all; 0 for now
	domain  time.Duration // until another name of the same registered domain has its first; 0 for now
}

// retryAfter is how Let's Encrypt writes in a problem when there is room again; acmez
// gives no Retry-After.
var retryAfter = regexp.MustCompile(`retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)`)

// What the details have of limits that concern one name, or one domain, and no other.
var (
	limitOfName   = regexp.MustCompile(`exact set|failed authorizations|authorizations for`)
	limitOfDomain = regexp.MustCompile(`too many certificates`)
)

// unreached tells whether no connection was had, so that the authority knows of no order.
func unreached(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// judge decides by an error and the number of failures in a row before it.
func judge(err error, tries int, now time.Time) failure {
	var problem acme.Problem
	answered := errors.As(err, &problem)
	if !answered || problem.Status >= http.StatusInternalServerError || problem.Type == acme.ProblemTypeServerInternal {
		most := unknownMost
		var network net.Error
		if answered || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) {
			most = silenceMost
		}
		return failure{wait: min(silence<<min(tries, 20), most)}
	}
	f := failure{wait: backOff[min(tries, len(backOff)-1)]}
	if problem.Type != acme.ProblemTypeRateLimited && problem.Status != http.StatusTooManyRequests {
		return f
	}
	others := min(f.wait, heldMost)
	if at := retryAfter.FindStringSubmatch(problem.Detail); at != nil {
		if until, err := time.Parse(time.DateTime, at[1]+" "+at[2]); err == nil && until.After(now) {
			f.wait = min(until.Sub(now), retryMost)
			others = f.wait
		}
	}
	switch {
	case limitOfName.MatchString(problem.Detail):
	case limitOfDomain.MatchString(problem.Detail):
		f.domain = others
	default:
		f.account = others
	}
	return f
}
