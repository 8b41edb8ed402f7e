// Verdict: what is to be done with a request to a host.

package directory

import (
	"net/http"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Kind is what is to be done with a request.
type Kind uint8

// Refuse is the zero value, so that a forgotten verdict lets nobody in.
const (
	Refuse Kind = iota
	Serve
	Redirect
)

// String is the kind's name, as in logs and metrics.
func (k Kind) String() string {
	switch k {
	case Serve:
		return "serve"
	case Redirect:
		return "redirect"
	default:
		return "refuse"
	}
}

// Verdict is the directory's answer to a request.
type Verdict struct {
	Kind     Kind
	Match    Match  // without an entry where the host is unknown or nothing is loaded
	Code     string // of a refusal: the reason of a block, or one of the codes of tenancy
	Status   int    // HTTP status of a refusal or redirect; 0 to serve
	Location string // of a redirect: the host to go to, in normal form, with a port where it needs one
}

// Decide says what to do with a request to a host. A block or a deletion goes
// before the redirect from an old domain: the visitor would meet it there.
// It allocates nothing for a verdict to serve. Safe for concurrent use.
func (d *Directory) Decide(host string, mode Mode) (v Verdict) {
	x := d.served.Load()
	if x == nil {
		return Verdict{Code: tenancy.CodeNotReady, Status: http.StatusServiceUnavailable}
	}
	if !x.resolve(host, mode, &v.Match) {
		return d.unknown(host, mode)
	}
	switch {
	case v.Match.state == tenancy.Deleting:
		v.Code, v.Status = tenancy.CodeDeleting, http.StatusGone
	case v.Match.state == tenancy.Blocked:
		v.Code, v.Status = blocked(v.Match.Entry)
	case v.Match.By == ByOldDomain:
		v.Kind, v.Status, v.Location = Redirect, http.StatusPermanentRedirect, location(host, v.Match, mode)
	default:
		v.Kind = Serve
	}
	return v
}

func blocked(e Entry) (code string, status int) {
	switch reason := e.Reason(); reason {
	case "":
		return string(tenancy.ReasonUnknown), http.StatusServiceUnavailable
	case tenancy.ReasonPaymentFailed:
		return string(reason), http.StatusPaymentRequired
	default:
		return string(reason), http.StatusServiceUnavailable
	}
}

// location is the present host for one of an old domain: the record's port
// where it has one, else the request's.
func location(host string, match Match, mode Mode) string {
	present := match.Entry.Key()
	to := mode.join(present, match.Slug)
	if _, port := splitPort(present); port != "" {
		return to
	}
	if key, ok := tenancy.HostKey(host); ok {
		if _, port := splitPort(key); port != "" {
			return to + ":" + port
		}
	}
	return to
}
