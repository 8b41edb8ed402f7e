// Certificate explain: which certificate a handshake for a host would get, and why.

package admin

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// asideTime bounds the look at a certificate where something else was asked for.
const asideTime = 3 * time.Second

// What would be served.
const (
	servedOurs    = "certificate"
	servedNone    = "none"
	servedUnknown = "unknown"
)

// CertificateExplanation is what a handshake for a host meets.
type CertificateExplanation struct {
	Certificate
	Served string `json:"served"` // certificate, wildcard, none or unknown
	Why    string `json:"why"`
}

// explainCertificate is nil where no certificates are kept.
func explainCertificate(ctx context.Context, app App, normal string) *CertificateExplanation {
	service, settings, err := certificatesOf(app)
	if err != nil || normal == "" {
		return nil
	}
	name, _, _ := strings.Cut(normal, ":") // a handshake tells no port
	x := &CertificateExplanation{Served: servedNone}
	x.Name, x.State = name, stateNone
	owner, known := service.Hosts.Owner(name)
	kept := !known && service.Hosts.Quarantined(name)
	switch {
	case settings.Covers(name):
		x.Served, x.State = stateWildcard, stateWildcard
		x.Why = "the certificate of a wildcard is for it, which is kept elsewhere"
		return x
	case !known && !kept:
		x.Why = "no instance has this name, so none is kept or ordered for it"
		return x
	}
	x.Instance = owner.Instance
	if e, ok := app.Directory().ByID(owner.Instance); ok {
		x.Domain = e.Domain()
	}
	ctx, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	rec, err := service.Record(ctx, name)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		x.Served, x.Why = servedUnknown, "what is known of it cannot be read: "+err.Error()
		return x
	}
	now := service.Now()
	if rec != nil {
		domain := x.Domain
		x.Certificate = certificateOf(rec, now)
		x.Domain = domain
	}
	x.serve(ctx, service, now)
	if x.Served == servedNone {
		x.Why = whyNone(rec, owner, kept, name, settings)
	}
	return x
}

// serve asks what a handshake asks: what the storage has is what counts, whatever the
// record says.
func (x *CertificateExplanation) serve(ctx context.Context, service *certificates.Service, now time.Time) {
	cert, err := service.Certificate(ctx, x.Name)
	switch {
	case errors.Is(err, certificates.ErrNone):
		return
	case err != nil:
		x.Served, x.Why = servedUnknown, "the certificate cannot be read from the storage: "+err.Error()
		return
	}
	x.Served = servedOurs
	leaf := cert.Leaf
	if leaf == nil && len(cert.Certificate) > 0 {
		leaf, _ = x509.ParseCertificate(cert.Certificate[0]) // nil is told as such
	}
	if leaf == nil {
		x.Why = "its certificate is there"
		return
	}
	x.NotBefore, x.NotAfter, x.DaysLeft = leaf.NotBefore, leaf.NotAfter, daysLeft(leaf.NotAfter, now)
	if x.Issuer == "" {
		x.Issuer = leaf.Issuer.CommonName
	}
	x.Why = "its certificate is there"
	if leaf.NotAfter.Before(now) {
		x.Why = "its certificate has expired, and browsers refuse it"
	}
	if x.Error != "" {
		x.Why += "; its renewal has not succeeded yet"
	}
}

// whyNone says why there is no certificate.
func whyNone(rec *certificates.Record, owner certificates.Owner, kept bool, name string, settings *certificates.Settings) string {
	switch {
	case kept:
		return "the name is in quarantine, and none is ordered for it"
	case owner.Deleting:
		return "the instance is being deleted, and none is ordered for it"
	case !settings.Qualifies(name):
		return "there can be none: " + ineligible(name, settings)
	case rec == nil && owner.Slug != "":
		return "that of an app's host is ordered at the first handshake, if the instance has the app"
	case rec == nil:
		return "the front door that orders has not looked at it yet"
	}
	switch rec.State {
	case certificates.Waiting:
		return "it waits until the DNS has what proves the name; see gatehouse instances domains"
	case certificates.Failed:
		return "the last order has failed"
	case certificates.Ordered:
		return "an order is under way"
	case certificates.Issued:
		return "it was issued, and is not in the storage any more"
	default:
		return "it is going to be ordered"
	}
}
