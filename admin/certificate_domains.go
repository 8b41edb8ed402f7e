// Certificate domains: the names of one instance, with the certificate of each and what
// is to be set in the DNS for it.

package admin

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

// CertifiedApps is what an App has that knows of which apps of an instance the hosts may
// have certificates. Of those that have one the instance's names tell.
type CertifiedApps interface {
	CertificateApps(ctx context.Context, inst *tenancy.Instance) (slugs []string, err error)
}

// byApp is By of the host of an app.
const byApp = "app"

// Domain is a name of an instance, with its certificate.
type Domain struct {
	Certificate
	By    string      `json:"by"`              // domain, alias, old domain or app
	Slug  string      `json:"slug,omitempty"`  // of the host of an app
	Why   string      `json:"why,omitempty"`   // there is no certificate, where that is no error
	Proof string      `json:"proof,omitempty"` // missing, found or unchecked; absent where none is asked for
	DNS   []DNSRecord `json:"dns,omitempty"`   // of which it is to have one, where proof is asked for
}

// DNSRecord is a record to set in the DNS.
type DNSRecord struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// States of Domain.Proof.
const (
	proofMissing   = "missing"
	proofFound     = "found"
	proofUnchecked = "unchecked"
)

func (h *handler) domains(app App, w http.ResponseWriter, r *http.Request) error {
	if _, _, err := certificatesOf(app); err != nil {
		return err
	}
	inst, err := get(app, r)
	if err != nil {
		return err
	}
	ctx, cancel := question(r)
	defer cancel()
	return writeDomains(ctx, app, w, inst)
}

// checkDomains has the names of an instance looked at now. The answer is what is known
// before that.
func (h *handler) checkDomains(app App, w http.ResponseWriter, r *http.Request) error {
	service, _, err := certificatesOf(app)
	if err != nil {
		return err
	}
	values, err := h.readValues(r)
	if err != nil {
		return err
	}
	if err := only(values); err != nil {
		return err
	}
	inst, err := get(app, r)
	if err != nil {
		return err
	}
	ctx, done := work(app, r)
	defer done()
	domains, err := domainsOf(ctx, app, inst)
	if err != nil {
		return err
	}
	var names []string
	for _, d := range domains {
		if d.State != stateIneligible && d.State != stateWildcard {
			names = append(names, d.Name)
		}
	}
	if err := service.Hurry(ctx, names); err != nil {
		return err
	}
	h.log.Info("names are looked at now", zap.String("domain", inst.Domain()), zap.Strings("names", names))
	return writeDomains(ctx, app, w, inst)
}

func writeDomains(ctx context.Context, app App, w http.ResponseWriter, inst *tenancy.Instance) error {
	domains, err := domainsOf(ctx, app, inst)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, "application/json", map[string][]Domain{"data": domains})
}

// domainsOf are the names of an instance: the domain first, then the aliases, the old
// domain, and the hosts of apps that a certificate was wanted for.
func domainsOf(ctx context.Context, app App, inst *tenancy.Instance) ([]Domain, error) {
	service, settings, err := certificatesOf(app)
	if err != nil {
		return nil, err
	}
	e, err := directory.EntryOf(inst)
	if err != nil {
		return nil, err
	}
	var all []Domain
	add := func(key string, by directory.By) {
		name := certificateName(service, e.ID(), key)
		if !slices.ContainsFunc(all, func(d Domain) bool { return d.Name == name }) { // as with a port and without
			all = append(all, Domain{By: by.String(), Certificate: Certificate{Name: name}})
		}
	}
	add(e.Key(), directory.ByDomain)
	for _, alias := range e.Aliases() {
		add(alias, directory.ByAlias)
	}
	if old := e.OldDomain(); old != "" {
		add(old, directory.ByOldDomain)
	}
	if apps, ok := app.(CertifiedApps); ok {
		slugs, err := apps.CertificateApps(ctx, inst)
		if err != nil {
			return nil, err
		}
		for _, own := range all { // what is added is not gone through
			for _, slug := range slugs {
				if host := app.Mode().Host(own.Name, slug); host != own.Name && !strings.Contains(host, ":") {
					all = append(all, Domain{By: byApp, Slug: slug, Certificate: Certificate{Name: host}})
				}
			}
		}
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	found, err := service.Records(ctx, names)
	if err != nil {
		return nil, err
	}
	now := service.Now()
	out := make([]Domain, 0, len(all))
	for _, d := range all {
		rec := found[d.Name]
		if rec == nil && d.By == byApp { // one that nobody has asked for
			continue
		}
		d.look(rec, settings, now)
		d.Domain, d.Instance = e.Domain(), e.ID()
		out = append(out, d)
	}
	return out, nil
}

// certificateName is the name that a certificate has for a name of an instance: the port
// of HTTPS is left out, and one with another port, for which there can be none, stays.
func certificateName(service *certificates.Service, instance, key string) string {
	name, _, ported := strings.Cut(key, ":")
	if !ported {
		return key
	}
	if owner, ok := service.Hosts.Owner(name); ok && owner.Instance == instance && owner.Slug == "" {
		return name
	}
	return key
}

// look fills in what is known of a name. rec is nil for nothing.
func (d *Domain) look(rec *certificates.Record, settings *certificates.Settings, now time.Time) {
	switch {
	case settings.Covers(d.Name):
		d.State, d.Why = stateWildcard, "the certificate of a wildcard is for it, which is kept elsewhere"
		return
	case rec == nil && !settings.Qualifies(d.Name):
		d.State, d.Why = stateIneligible, "there can be no certificate: "+ineligible(d.Name, settings)
		return
	case rec == nil:
		d.State, d.Why = stateNone, "the front door that orders has not looked at it yet"
	default:
		d.Certificate = certificateOf(rec, now)
	}
	if settings.Proof == nil || d.By == byApp { // that is proven by its instance's name
		return
	}
	token := ""
	d.Proof = proofUnchecked
	if rec != nil && rec.ProofToken != "" {
		token = rec.ProofToken
		d.Proof = proofFound
		if rec.State == certificates.Waiting {
			d.Proof = proofMissing
		}
	}
	d.DNS = dnsRecords(settings.Proof, d.Name, token)
}

// dnsRecords are what Proof.Wanted says, for machines.
func dnsRecords(p *certificates.Proof, name, token string) []DNSRecord {
	wanted := p.Wanted(name, token)
	out := make([]DNSRecord, 0, len(wanted))
	for _, text := range wanted {
		kind, rest, _ := strings.Cut(text, " ")
		record := DNSRecord{Name: name, Type: kind, Value: rest}
		if kind == "TXT" { // its own name, and the text in quotation marks
			record.Name, record.Value, _ = strings.Cut(rest, " ")
			record.Value = strings.Trim(record.Value, `"`)
		}
		out = append(out, record)
	}
	return out
}

// ineligible says why a name that does not qualify can have no certificate.
func ineligible(name string, settings *certificates.Settings) string {
	switch {
	case net.ParseIP(name) != nil:
		return "it is an IP address"
	case strings.Contains(name, ":"):
		return "it has a port that is not that of HTTPS"
	case !strings.Contains(name, "."):
		return "it is a single label"
	case settings.Public && certmagic.SubjectQualifiesForCert(name):
		return "it is no public name, and the issuers refuse others"
	default:
		return "it is no name that certificates have"
	}
}

// certify adds to an instance what is known of its domain's certificate. What cannot be
// told is left out: the instance is what was asked for.
func certify(ctx context.Context, app App, inst *tenancy.Instance, o *object) {
	service, settings, err := certificatesOf(app)
	if err != nil {
		return
	}
	key, ok := tenancy.HostKey(inst.Domain())
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	d := Domain{Certificate: Certificate{Name: certificateName(service, inst.ID(), key)}}
	found, err := service.Records(ctx, []string{d.Name})
	if err != nil {
		return
	}
	d.look(found[d.Name], settings, service.Now())
	o.Meta["certificate"] = d.State
	if d.DaysLeft != nil {
		o.Meta["certificate_days_left"] = strconv.Itoa(*d.DaysLeft)
		o.Meta["certificate_not_after"] = d.NotAfter.Format(time.RFC3339)
	}
}
