// Explain and status: what this front door knows, and why it does what it does.

package admin

import (
	"net/http"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// Status is the answer to GET /tenancy/status.
type Status struct {
	Node       string `json:"node"`
	Store      string `json:"store"`
	Subdomains string `json:"subdomains"`
	Directory  struct {
		directory.Status
		AgeSeconds float64 `json:"age_seconds"`
	} `json:"directory"`
	// API is the API's own listener; absent where there is none.
	API *APIStatus `json:"api,omitempty"`
	// Certificates is absent where none are kept.
	Certificates *CertificatesStatus `json:"certificates,omitempty"`
}

// APIStatus is how the API's own listener is.
type APIStatus struct {
	Address       string `json:"address"`
	TLS           bool   `json:"tls"`
	LoginFailures int64  `json:"login_failures"` // since the configuration was loaded
}

// Listening is what an App has whose API listens on an address of its own.
type Listening interface {
	APIListener() *Listener // nil where it does not
}

// Living is what an App has that tells when its store is given up.
type Living interface {
	Done() <-chan struct{}
}

func (h *handler) status(app App, w http.ResponseWriter, _ *http.Request) error {
	var s Status
	s.Node, s.Store, s.Subdomains = app.Node(), app.StoreName(), app.Mode().String()
	s.Directory.Status = app.Directory().Status()
	s.Directory.AgeSeconds = s.Directory.Age.Seconds()
	if l, ok := app.(Listening); ok && l.APIListener() != nil {
		s.API = l.APIListener().status()
	}
	s.Certificates = certificatesStatus(app)
	return writeJSON(w, http.StatusOK, "application/json", s)
}

func (l *Listener) status() *APIStatus {
	s := &APIStatus{Address: l.Address, TLS: l.Certificate != "", LoginFailures: l.Failures()}
	if at := l.Addr(); at != nil {
		s.Address = at.String()
	}
	return s
}

// Explanation is the answer to GET /tenancy/explain?host=.
type Explanation struct {
	Host       string  `json:"host"`             // as asked
	Normal     string  `json:"normal,omitempty"` // its normal form
	Match      string  `json:"match,omitempty"`  // the name that was found, in normal form
	By         string  `json:"by,omitempty"`     // domain, alias or old domain
	Slug       string  `json:"slug,omitempty"`   // of an app host
	Domain     string  `json:"domain,omitempty"` // the instance
	ID         string  `json:"id,omitempty"`     // of its document
	Rev        string  `json:"rev,omitempty"`
	Prefix     string  `json:"prefix,omitempty"`
	State      string  `json:"state,omitempty"`
	Reason     string  `json:"reason,omitempty"` // of a block
	Verdict    string  `json:"verdict"`          // serve, redirect or refuse
	Status     int     `json:"status,omitempty"` // of the answer, unless it is the upstream's
	Code       string  `json:"code,omitempty"`
	Location   string  `json:"location,omitempty"`
	Why        string  `json:"why"`
	Directory  string  `json:"directory"`   // following, stale, …
	AgeSeconds float64 `json:"age_seconds"` // of what is known
	// Certificate is absent where none are kept.
	Certificate *CertificateExplanation `json:"certificate,omitempty"`
}

func (h *handler) explain(app App, w http.ResponseWriter, r *http.Request) error {
	host := r.URL.Query().Get("host")
	if host == "" {
		return &tenancy.FieldError{Field: "host", Problem: "is missing", Allowed: "a host, perhaps with a port"}
	}
	x := explain(app, host)
	x.Certificate = explainCertificate(r.Context(), app, x.Normal)
	return writeJSON(w, http.StatusOK, "application/json", x)
}

func explain(app App, host string) Explanation {
	status := app.Directory().Status()
	v := app.Directory().Decide(host, app.Mode())
	x := Explanation{
		Host: host, Verdict: v.Kind.String(), Status: v.Status, Code: v.Code, Location: v.Location,
		Directory: string(status.State), AgeSeconds: status.Age.Round(time.Millisecond).Seconds(),
	}
	normal, valid := tenancy.HostKey(host)
	x.Normal = normal
	if e := v.Match.Entry; !e.IsZero() {
		x.Match, x.By, x.Slug = v.Match.Key, v.Match.By.String(), v.Match.Slug
		x.Domain, x.ID, x.Rev, x.Prefix = e.Domain(), e.ID(), e.Rev(), e.Prefix()
		x.State, x.Reason = e.State().String(), string(e.Reason())
	}
	x.Why = why(v, valid, app.Mode())
	return x
}

// why says the verdict in a sentence.
func why(v directory.Verdict, valid bool, mode directory.Mode) string {
	if v.Match.Entry.IsZero() {
		switch {
		case v.Code == tenancy.CodeNotReady:
			return "there is no directory of instances yet: the store has not answered since the start, and there is no snapshot"
		case !valid:
			return "this can be no host name"
		default:
			return "no instance has this name as its domain, alias or old domain, nor is it an app's host (subdomains " + mode.String() + ") of one"
		}
	}
	what := "the host is the instance's " + v.Match.By.String()
	if v.Match.Slug != "" {
		what = "the host is the app " + v.Match.Slug + " of the instance's " + v.Match.By.String() + " " + v.Match.Key
	}
	switch {
	case v.Kind == directory.Serve:
		return what + ", and the instance is active"
	case v.Kind == directory.Redirect:
		return what + ", whose visitors are sent to the present domain"
	case v.Code == tenancy.CodeDeleting:
		return what + ", and the instance is being deleted"
	default:
		return what + ", and the instance is blocked"
	}
}
