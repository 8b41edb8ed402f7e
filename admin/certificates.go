// Certificates: the list of what is known of them.

package admin

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// Certified is what an App has that keeps the certificates of instances.
type Certified interface {
	CertificateService() *certificates.Service // nil where it keeps none
}

var errNoCertificates = &apiError{
	status: http.StatusNotImplemented, title: "Not Implemented",
	detail: "this front door keeps no certificates; see get_certificate tenancy in the configuration",
}

// certificatesOf is what keeps certificates, with its settings, or the error that says
// that nothing does.
func certificatesOf(app App) (*certificates.Service, *certificates.Settings, error) {
	c, ok := app.(Certified)
	if !ok || c.CertificateService() == nil {
		return nil, nil, errNoCertificates
	}
	service := c.CertificateService()
	settings := service.Settings()
	if settings == nil {
		return nil, nil, errNoCertificates
	}
	return service, settings, nil
}

// Certificate is what the API tells of a name's certificate.
type Certificate struct {
	Name      string    `json:"name"`
	Domain    string    `json:"domain,omitempty"`   // of the instance, where it is known here
	Instance  string    `json:"instance,omitempty"` // the id of its document
	State     string    `json:"state"`
	DaysLeft  *int      `json:"days_left,omitempty"` // whole days; below 0 for one that has expired
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Issuer    string    `json:"issuer,omitempty"`
	Serial    string    `json:"serial,omitempty"`
	RenewAt   time.Time `json:"renew_at,omitzero"`
	NextAt    time.Time `json:"next_at,omitzero"` // when it is looked at next; absent for as soon as may be
	Tries     int       `json:"tries,omitempty"`  // that have failed in a row
	Error     string    `json:"error,omitempty"`
	WantedAt  time.Time `json:"wanted_at,omitzero"`
	Node      string    `json:"node,omitempty"` // the front door that wrote this
}

// States of a Certificate, besides those of a record.
const (
	stateNone       = "none"       // nobody has looked at the name yet
	stateWildcard   = "wildcard"   // it has that of a wildcard, which is kept elsewhere
	stateIneligible = "ineligible" // there can be none
)

func certificateOf(rec *certificates.Record, now time.Time) Certificate {
	c := Certificate{
		Name: rec.Name, Instance: rec.Instance, State: string(rec.State), NotBefore: rec.NotBefore, NotAfter: rec.NotAfter,
		Issuer: rec.Issuer, Serial: rec.Serial, RenewAt: rec.RenewAt, NextAt: rec.Next, Tries: rec.Tries, Error: rec.Error,
		WantedAt: rec.Wanted, Node: rec.Node,
	}
	c.DaysLeft = daysLeft(rec.NotAfter, now)
	return c
}

// daysLeft are the whole days until a certificate's end; nil without one.
func daysLeft(notAfter, now time.Time) *int {
	if notAfter.IsZero() {
		return nil
	}
	n := int(math.Floor(notAfter.Sub(now).Hours() / 24))
	return &n
}

// certificatesMeta is what stands behind the list: of all names, whatever the filter.
type certificatesMeta struct {
	Names   int                        `json:"names"`
	States  map[certificates.State]int `json:"states"`
	Expired int                        `json:"expired"`
	Leads   bool                       `json:"leads"` // this front door orders
	Queue   int                        `json:"queue"` // names that it is going to look at
	Sum     *certificatesSum           `json:"sum,omitempty"`
}

// certificatesSum is that of the last time that this front door, while it ordered, has
// looked through all names.
type certificatesSum struct {
	At     time.Time                  `json:"at"`
	States map[certificates.State]int `json:"states"`
	Held   int                        `json:"held"`
	Left   []certificatesLeft         `json:"left"`
}

// certificatesLeft is how many certificates are good for so many days at most.
type certificatesLeft struct {
	Days         int `json:"days"`
	Certificates int `json:"certificates"`
}

func sumOf(s *certificates.Sum) *certificatesSum {
	if s == nil || s.At.IsZero() { // none yet, or of a fleet without names
		return nil
	}
	out := &certificatesSum{At: s.At, States: s.States, Held: s.Held, Left: make([]certificatesLeft, len(s.Left))}
	for i, n := range s.Left {
		out.Left[i] = certificatesLeft{Days: int(certificates.Buckets[i].Hours() / 24), Certificates: n}
	}
	return out
}

// listCertificates streams, as the list of instances does.
func (h *handler) listCertificates(app App, w http.ResponseWriter, r *http.Request) error {
	service, _, err := certificatesOf(app)
	if err != nil {
		return err
	}
	chosen, err := readCertificateFilter(r.URL.Query())
	if err != nil {
		return err
	}
	now := service.Now()
	meta := certificatesMeta{States: map[certificates.State]int{}}
	out := newArray(w, "application/json")
	err = service.Walk(r.Context(), func(rec *certificates.Record) error {
		meta.Names++
		meta.States[rec.State]++
		if rec.Held() && rec.NotAfter.Before(now) {
			meta.Expired++
		}
		entry, _ := app.Directory().ByID(rec.Instance)
		if !chosen.matches(rec, entry, now) {
			return r.Context().Err() // a long way without a match must not outlive its client
		}
		c := certificateOf(rec, now)
		if !entry.IsZero() {
			c.Domain = entry.Domain()
		}
		return out.add(c)
	})
	if err != nil {
		if errors.Is(err, context.Canceled) {
			out.gone = true
		}
		return h.cut(out, err)
	}
	meta.Leads, meta.Queue, meta.Sum = service.Leads(), service.Queue(), sumOf(service.Sum())
	return h.cut(out, out.end(map[string]any{"meta": meta}))
}

// CertificatesStatus is how a front door stands to the certificates of instances.
type CertificatesStatus struct {
	Leads bool `json:"leads"` // it orders, for all that share its storage
	Queue int  `json:"queue"` // names that it is going to look at
}

func certificatesStatus(app App) *CertificatesStatus {
	service, _, err := certificatesOf(app)
	if err != nil {
		return nil
	}
	return &CertificatesStatus{Leads: service.Leads(), Queue: service.Queue()}
}
