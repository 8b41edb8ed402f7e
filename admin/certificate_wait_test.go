// Waiting for certificates: add and modify with --wait-tls, domains with --check.

package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// TestWaitTLS: the command ends when the certificates are there, or says what is in
// their way; the instance is there in any case.
func TestWaitTLS(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.order(certificates.Settings{Issuers: []certmagic.Issuer{newAuthority(t, "bob.org")}, Wildcards: []string{"*.cloud.example.com"}})
	r := a.cli(0, "add", "alice.example.com", "--domain-aliases", "alice.org,alice.cloud.example.com,alice", "--wait-tls", "--trace")
	contains(t, "add --wait-tls", r.out, "Instance created with success for domain alice.example.com\n", "Registration token")
	contains(t, "its steps", r.err, "certificates 4/4")
	all, _ := a.certified("alice.example.com")
	for _, name := range []string{"alice.example.com", "alice.org"} {
		if all[name].State != "issued" {
			t.Errorf("%s: %+v", name, all[name])
		}
	}
	a.cli(0, "modify", "alice.example.com", "--domain-aliases", "alice.net", "--wait-tls")
	if all, _ := a.certified("alice.example.com"); all["alice.net"].State != "issued" {
		t.Errorf("the new alias: %+v", all["alice.net"])
	}
	r = a.cli(1, "add", "bob.example.com", "--domain-aliases", "bob.org", "--wait-tls", "--json")
	contains(t, "one that fails", r.err, "Warning: bob.org has no certificate yet: failed, next look ", "does not like this name",
		"1 of 2 names have no certificate yet; see gatehouse instances domains bob.example.com")
	if !strings.HasPrefix(r.out, "{") || strings.Contains(r.out, "Warning") {
		t.Errorf("as JSON: %s", r.out)
	}
	a.must(200, "GET", "/instances/bob.example.com", "")

	a.cli(2, "modify", "alice.example.com", "--locale", "fr", "--wait-timeout", "1m")
	a.cli(2, "modify", "alice.example.com", "--locale", "fr", "--wait-tls", "--dry-run")
	a.cli(2, "modify", "--all", "--locale", "fr", "--force", "--wait-tls")
	a.cli(2, "add", "carol.example.com", "--wait-tls", "--wait-timeout", "-1s")
	a.cli(3, "show", "carol.example.com")
	none := newAPI(t)
	contains(t, "where none are kept", none.cli(2, "add", "alice.example.com", "--wait-tls").err, "keeps no certificates")
	none.cli(3, "show", "alice.example.com")
}

// TestWaitTimeout: nobody orders, so that the time is over.
func TestWaitTimeout(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.keep(certificates.Settings{})
	r := a.cli(1, "add", "alice.example.com", "--wait-tls", "--wait-timeout", "10ms")
	contains(t, "a wait that is over", r.err, "Warning: alice.example.com has no certificate yet: the front door that orders has not looked at it yet")
	a.cli(0, "show", "alice.example.com")
}

// TestCheckCommand: once the DNS is right, a check gets the certificate at once.
func TestCheckCommand(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	dns := new(zone)
	dns.set("alice.example.com", edge)
	a.order(certificates.Settings{Proof: dns.proof()})
	r := a.cli(1, "add", "alice.example.com", "--domain-aliases", "alice.org", "--wait-tls")
	contains(t, "add", r.err, "Warning: alice.org has no certificate yet: waiting_proof, next look ", "alice.org points to nothing",
		"Set one of these in the DNS:", "alice.org. CNAME edge.example.net.", `_gatehouse.alice.org. TXT "gatehouse-`)
	before, _ := a.certified("alice.example.com")
	if next := before["alice.org"].NextAt; time.Until(next) < 10*time.Second {
		t.Fatalf("it is looked at by itself at %v", next)
	}
	contains(t, "too early", a.cli(0, "domains", "alice.example.com", "--check").out, "alice.org (alias): waiting_proof, next look ")
	after, _ := a.certified("alice.example.com")
	if !after["alice.org"].NextAt.After(before["alice.org"].NextAt) {
		t.Errorf("it was not looked at: %v, then %v", before["alice.org"].NextAt, after["alice.org"].NextAt)
	}
	dns.set("alice.org", edge)
	contains(t, "check", a.cli(0, "domains", "alice.example.com", "--check").out, "alice.org (alias): issued, 90 days left, until ")
}
