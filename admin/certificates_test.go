// Certificates by the API: the list, an instance's names, and what explain and show say.

package admin_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

const aDay = 24 * time.Hour

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// domain is a name of an instance, as the API tells of it.
type domain struct {
	Name, By, Slug, State, Why, Proof, Error, Issuer, Domain string
	DaysLeft                                                 *int      `json:"days_left"`
	NotAfter                                                 time.Time `json:"not_after"`
	NextAt                                                   time.Time `json:"next_at"`
	DNS                                                      []struct{ Name, Type, Value string }
}

func (a *api) certified(name string) (all map[string]domain, order []string) {
	a.t.Helper()
	var answer struct{ Data []domain }
	if err := json.Unmarshal([]byte(a.must(200, "GET", "/instances/"+name+"/domains", "").body), &answer); err != nil {
		a.t.Fatal(err)
	}
	all = map[string]domain{}
	for _, d := range answer.Data {
		all[d.Name] = d
		order = append(order, d.Name)
	}
	return all, order
}

// explained is the certificate in an explanation.
type explained struct {
	Name, Served, Why, State, Issuer, Error, Domain string
	DaysLeft                                        *int `json:"days_left"`
}

func (a *api) explained(host string) *explained {
	a.t.Helper()
	var answer struct{ Certificate *explained }
	if err := json.Unmarshal([]byte(a.must(200, "GET", "/tenancy/explain?host="+host, "").body), &answer); err != nil {
		a.t.Fatal(err)
	}
	return answer.Certificate
}

// TestNoCertificates: where none are kept it is said so, and all else is as before.
func TestNoCertificates(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`)
	check := func() {
		t.Helper()
		for _, c := range [][2]string{{"GET", "/tenancy/certificates"}, {"GET", "/instances/alice.example.com/domains"}, {"POST", "/instances/alice.example.com/domains/check"}} {
			contains(t, c[1], a.must(501, c[0], c[1], "").body, "keeps no certificates; see get_certificate tenancy")
		}
		if a.explained("alice.example.com") != nil {
			t.Error("explain tells of a certificate")
		}
		for _, path := range []string{"/tenancy/status", "/instances/alice.example.com"} {
			if r := a.must(200, "GET", path, ""); strings.Contains(r.body, "certificate") {
				t.Errorf("%s: %s", path, r.body)
			}
		}
	}
	check()
	a.keep(certificates.Settings{})
	a.must(200, "GET", "/tenancy/certificates", "")
	a.app.certs.Use(nil) // a reload without them
	check()
}

func TestCertificatesList(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.keep(certificates.Settings{})
	empty := a.must(200, "GET", "/tenancy/certificates", "")
	if got, want := strings.TrimSpace(empty.body), `{"data":[],"meta":{"names":0,"states":{},"expired":0,"leads":false,"queue":0}}`; got != want {
		t.Errorf("without names: %s, want %s", got, want)
	}
	id := a.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`).document(t).Data.ID
	now := time.Now()
	for _, rec := range []certificates.Record{
		{Name: "alice.example.com", Instance: id, State: certificates.Issued, Issuer: "an-issuer", NotAfter: now.Add(60*aDay + time.Hour), RenewAt: now.Add(30 * aDay)},
		{Name: "alice.org", Instance: id, State: certificates.Waiting, Error: "points to nothing", Tries: 3, Next: now.Add(time.Hour), ProofToken: "gatehouse-0123"},
		{Name: "b.example.com", State: certificates.Issued, NotAfter: now.Add(5 * aDay)},
		{Name: "c.example.com", State: certificates.Failed, NotAfter: now.Add(-time.Hour), Error: "no luck"},
		{Name: "d.example.com", State: certificates.Pending},
		{Name: "e.example.com", State: certificates.Ordered},
	} {
		a.record(rec)
	}
	type list struct {
		Data []domain
		Meta struct {
			Names, Expired int
			States         map[string]int
		}
	}
	read := func(query string) (l list) {
		t.Helper()
		if err := json.Unmarshal([]byte(a.must(200, "GET", "/tenancy/certificates"+query, "").body), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	for query, want := range map[string]string{
		"": "alice.example.com alice.org b.example.com c.example.com d.example.com e.example.com", "?State=issued": "alice.example.com b.example.com",
		"?State=pending,ordered": "d.example.com e.example.com", "?Days=5": "b.example.com c.example.com", "?Days=0": "c.example.com", "?Days=61": "alice.example.com b.example.com c.example.com",
		"?Failing=true": "alice.org c.example.com", "?Failing=false&State=failed": "c.example.com", "?Domain=*.ORG": "alice.org",
		"?Domain=alice.example.com": "alice.example.com alice.org", "?Domain=?.example.com&State=issued": "b.example.com", "?Domain=nobody": "",
	} {
		l := read(query)
		var names []string
		for _, c := range l.Data {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		if l.Meta.Names != 6 || l.Meta.Expired != 1 || l.Meta.States["issued"] != 2 || l.Meta.States["waiting_proof"] != 1 {
			t.Errorf("%s: behind it is %+v", query, l.Meta)
		}
	}
	all := read("").Data
	if c := all[0]; c.Domain != "alice.example.com" || c.DaysLeft == nil || *c.DaysLeft != 60 || c.Issuer != "an-issuer" {
		t.Errorf("%+v", c)
	}
	if c := all[3]; *c.DaysLeft != -1 || c.Error != "no luck" || c.Domain != "" {
		t.Errorf("%+v", c)
	}
	if c := all[4]; c.DaysLeft != nil || !c.NotAfter.IsZero() {
		t.Errorf("%+v", c)
	}
	for _, bad := range []string{"State=asleep", "State=", "Days=-1", "Days=soon", "Failing=perhaps", "Domain=", "Domain=[", "Colour=red", "State=issued&State=failed"} {
		name, _, _ := strings.Cut(bad, "=")
		contains(t, bad, a.must(400, "GET", "/tenancy/certificates?"+bad, "").body, `"parameter":"`+name+`"`)
	}

	r := a.cli(0, "tls")
	contains(t, "tls", r.out, "name", "days left", "alice.example.com", "issued", "60", "an-issuer", "renewal "+now.Add(30*aDay).UTC().Format("2006-01-02 15:04:05Z"),
		"expired", "no luck", "\n6 names: 1 pending, 1 waiting_proof, 1 ordered, 1 failed, 2 issued, 1 expired; this front door does not order\n")
	contains(t, "tls --failing", a.cli(0, "tls", "--failing", "--domain", "*.org").out, "alice.org", "points to nothing", "\n1 of 6 names: ")
	contains(t, "tls --days 0", a.cli(0, "tls", "--days", "0").out, "c.example.com", "\n1 of 6 names: ")
	lines := strings.Split(strings.TrimSpace(a.cli(0, "tls", "--state", "issued,failed", "--json").out), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], `{"name":"alice.example.com","domain":"alice.example.com",`) {
		t.Errorf("as JSON: %q", lines)
	}
	a.cli(2, "tls", "--days", "-1")
	a.cli(2, "tls", "--state", "asleep")
	a.cli(2, "tls", "alice.example.com")
}

// TestDomains: each name that an instance has, and why one has no certificate.
func TestDomains(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.app.apps = []string{"drive", "notes"}
	dns := new(zone)
	a.keep(certificates.Settings{Public: true, Wildcards: []string{"*.cloud.example.com"}, Proof: dns.proof()})
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com:8443","DomainAliases":"alice.cloud.example.com,alice.org,alice.com:8080,alice.localhost,alice","OldDomain":"old.example.com"}`)
	now := time.Now()
	a.record(certificates.Record{Name: "alice.example.com", State: certificates.Issued, NotAfter: now.Add(9*aDay + time.Hour), Issuer: "an-issuer", ProofToken: "gatehouse-0123"})
	a.record(certificates.Record{Name: "alice.org", State: certificates.Waiting, Error: "alice.org points to nothing", Next: now.Add(time.Hour), ProofToken: "gatehouse-4567"})
	a.record(certificates.Record{Name: "drive.alice.org", Parent: "alice.org", State: certificates.Failed, Error: "no luck", Next: now.Add(time.Hour)})
	all, order := a.certified("alice.example.com:8443")
	if want := []string{"alice.example.com", "alice.cloud.example.com", "alice.org", "alice.com:8080", "alice.localhost", "alice", "old.example.com", "drive.alice.org"}; !slices.Equal(order, want) {
		t.Errorf("the names are %q, want %q", order, want)
	}
	for name, want := range map[string]string{
		"alice.example.com": "domain issued found ", "alice.cloud.example.com": "alias wildcard  the certificate of a wildcard", "alice.org": "alias waiting_proof missing ",
		"alice.com:8080": "alias ineligible  there can be no certificate: it has a port", "alice.localhost": "alias ineligible  there can be no certificate: it is no public name",
		"alice":           "alias ineligible  there can be no certificate: it is a single label",
		"old.example.com": "old domain none unchecked the front door that orders", "drive.alice.org": "app failed  ",
	} {
		d := all[name]
		if got := fmt.Sprintf("%s %s %s %s", d.By, d.State, d.Proof, d.Why); !strings.HasPrefix(got, want) || d.Domain != "alice.example.com:8443" {
			t.Errorf("%s: %q, want %q (of %q)", name, got, want, d.Domain)
		}
	}
	if got, want := fmt.Sprint(all["alice.org"].DNS), "[{alice.org CNAME edge.example.net} {alice.org A 192.0.2.7} {_gatehouse.alice.org TXT gatehouse-4567}]"; got != want {
		t.Errorf("to be set is %s, want %s", got, want)
	}
	if d := all["old.example.com"]; len(d.DNS) != 2 {
		t.Errorf("before there is a token: %v", d.DNS)
	}
	a.must(404, "GET", "/instances/bob.example.com/domains", "")
	a.must(404, "POST", "/instances/bob.example.com/domains/check", "")
	a.must(400, "POST", "/instances/alice.org/domains/check", `{"Colour":"red"}`)
	a.must(405, "GET", "/instances/alice.org/domains/check", "")

	contains(t, "domains", a.cli(0, "domains", "alice.org").out,
		"alice.example.com (domain): issued, 9 days left, until "+now.Add(9*aDay+time.Hour).UTC().Format(time.DateOnly)+", by an-issuer\n",
		"alice.org (alias): waiting_proof, next look ", "    alice.org points to nothing\n    Set one of these in the DNS:\n      alice.org. CNAME edge.example.net.\n      alice.org. A 192.0.2.7\n      _gatehouse.alice.org. TXT \"gatehouse-4567\"\n",
		"alice (alias): there can be no certificate: it is a single label\n", "drive.alice.org (app drive): failed, next look ")
	var printed []domain
	if err := json.Unmarshal([]byte(a.cli(0, "domains", "alice.org", "--json").out), &printed); err != nil || len(printed) != len(order) {
		t.Errorf("as JSON: %d, %v", len(printed), err)
	}
	a.cli(3, "domains", "bob.example.com")
	a.cli(2, "domains", "alice.org", "--wait-timeout", "1s")
	a.cli(2, "domains", "alice.org", "--check", "--wait-timeout", "soon")
	meta := a.must(200, "GET", "/instances/alice.org", "").document(t).Data.Meta
	if meta["certificate"] != "issued" || meta["certificate_days_left"] != "9" || meta["certificate_not_after"] == "" {
		t.Errorf("show: %v", meta)
	}
	contains(t, "show", a.cli(0, "show", "alice.org").out, `"certificate": "issued"`)
}

// TestExplainCertificate: what a handshake would get, and why there is nothing.
func TestExplainCertificate(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	dns := new(zone)
	for _, name := range []string{"alice.example.com", "bob.example.com"} {
		dns.set(name, edge)
	}
	a.order(certificates.Settings{
		Issuers: []certmagic.Issuer{newAuthority(t, "bob.example.com")}, Wildcards: []string{"*.cloud.example.com"}, Proof: dns.proof(),
	})
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com","DomainAliases":"alice.org,alice.cloud.example.com,alice"}`)
	a.must(201, "POST", "/instances", `{"Domain":"bob.example.com"}`)
	state := func(domain, name, want string) {
		t.Helper()
		eventually(t, name+" is "+want, func() bool { all, _ := a.certified(domain); return all[name].State == want })
	}
	state("alice.example.com", "alice.example.com", "issued")
	state("alice.example.com", "alice.org", "waiting_proof")
	state("bob.example.com", "bob.example.com", "failed")
	for host, want := range map[string]struct{ served, state, why, err string }{
		"Alice.example.com.:8443": {"certificate", "issued", "its certificate is there", ""},
		"alice.org":               {"none", "waiting_proof", "it waits until the DNS", "alice.org points to nothing"},
		"bob.example.com":         {"none", "failed", "the last order has failed", "does not like this name"},
		"alice.cloud.example.com": {"wildcard", "wildcard", "the certificate of a wildcard", ""},
		"alice":                   {"none", "none", "it is a single label", ""},
		"drive.alice.org":         {"none", "none", "ordered at the first handshake", ""},
		"nobody.example.com":      {"none", "none", "no instance has this name", ""},
	} {
		x := a.explained(host)
		if x == nil || x.Served != want.served || x.State != want.state || !strings.Contains(x.Why, want.why) || !strings.Contains(x.Error, want.err) {
			t.Errorf("%s: %+v, want %+v", host, x, want)
		}
	}
	if x := a.explained("alice.example.com"); x.DaysLeft == nil || *x.DaysLeft != 90 || x.Issuer != "test-authority" || x.Domain != "alice.example.com" {
		t.Errorf("%+v", x)
	}
	contains(t, "explain", a.cli(0, "explain", "alice.example.com").out, "certificate    its certificate is there\n", "its state      issued, 90 days left, until ")
	contains(t, "explain", a.cli(0, "explain", "bob.example.com").out, "certificate    none: the last order has failed\n", "its error ")
	eventually(t, "the front door leads", func() bool {
		return strings.Contains(a.must(200, "GET", "/tenancy/status", "").body, `"certificates":{"leads":true,`)
	})
	contains(t, "status", a.cli(0, "status").out, "certificates   this front door orders them, with ")
	contains(t, "tls", a.cli(0, "tls").out, "; this front door orders, with ")
	if x := a.explained("..."); x != nil {
		t.Errorf("what is no host has %+v", x)
	}
}
