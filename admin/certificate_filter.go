// Certificate filter: which names a list of certificates is to have.

package admin

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// certificateStates are all states of a record, in the order in which they come.
var certificateStates = []certificates.State{
	certificates.Pending, certificates.Waiting, certificates.Ordered, certificates.Failed, certificates.Issued,
}

// maxDays bounds the parameter Days.
const maxDays = 10_000

// certificateFilter leaves the names for which all that is asked holds.
type certificateFilter struct {
	states  []certificates.State // one of them; none for any
	days    *int                 // a certificate that ends within them, or has ended
	failing bool
	domain  string // a pattern, or empty
}

// readCertificateFilter reads the parameters of a list. One that is not known is
// refused, since a list of everything would be taken for an answer.
func readCertificateFilter(query url.Values) (f certificateFilter, err error) {
	for name, given := range query {
		if len(given) > 1 {
			return f, &tenancy.FieldError{Field: name, Problem: "is given more than once"}
		}
		text := given[0]
		switch name {
		case "State":
			f.states, err = readCertificateStates(text)
		case "Days":
			var n int
			if n, err = strconv.Atoi(text); err != nil || n < 0 || n > maxDays {
				err = &tenancy.FieldError{Problem: "is not a number of days", Allowed: "0 to " + strconv.Itoa(maxDays)}
			}
			f.days = &n
		case "Failing":
			f.failing, err = truth(value{text: text})
		case "Domain":
			f.domain = strings.ToLower(text)
			if _, bad := path.Match(f.domain, ""); bad != nil || text == "" {
				err = &tenancy.FieldError{Problem: "is not a pattern", Allowed: "as in *.example.com, with * and ?"}
			}
		default:
			err = &tenancy.FieldError{Problem: "is not a parameter of this", Allowed: "Days, Domain, Failing, State"}
		}
		if err != nil {
			return f, named(err, name)
		}
	}
	return f, nil
}

// readCertificateStates reads states, separated by commas.
func readCertificateStates(text string) (states []certificates.State, err error) {
	for part := range strings.SplitSeq(text, ",") {
		state := certificates.State(strings.TrimSpace(part))
		if !slices.Contains(certificateStates, state) {
			return nil, &tenancy.FieldError{Problem: "is not a state", Allowed: strings.Join(stateNames(), ", ")}
		}
		states = append(states, state)
	}
	return states, nil
}

func stateNames() []string {
	names := make([]string, len(certificateStates))
	for i, state := range certificateStates {
		names[i] = string(state)
	}
	return names
}

// matches looks at a record, and at the instance that has the name, the zero value for one that is
// not known here.
func (f *certificateFilter) matches(rec *certificates.Record, e directory.Entry, now time.Time) bool {
	if len(f.states) > 0 && !slices.Contains(f.states, rec.State) {
		return false
	}
	if f.days != nil && (!rec.Held() || rec.NotAfter.Sub(now) > time.Duration(*f.days)*24*time.Hour) {
		return false
	}
	if f.failing && !failing(rec, now) {
		return false
	}
	return f.domain == "" || like(f.domain, rec.Name) || !e.IsZero() && (like(f.domain, e.Domain()) || like(f.domain, e.Key()))
}

// failing tells whether somebody has to look after a name.
func failing(rec *certificates.Record, now time.Time) bool {
	return rec.State == certificates.Failed || rec.State == certificates.Waiting || rec.Held() && rec.NotAfter.Before(now)
}
