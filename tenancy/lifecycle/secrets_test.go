// Secrets: none is in the journal at any moment, in the audit, in a claim, or in an error.

package lifecycle_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// spy keeps what is said about secrets, and the secrets.
type spy struct {
	mu      sync.Mutex
	said    map[string]bool
	secrets map[string]string // what it is, by text
}

func (s *spy) hear(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said[text] = true
}

// keep notes the secrets of a record, in the forms in which they are told.
func (s *spy) keep(inst *tenancy.Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, field := range inst.Fields() {
		if tenancy.Secret(field) {
			s.secrets[inst.Text(field)] = field
			s.secrets[hex.EncodeToString(inst.Bytes(field))] = field + " in hexadecimal"
		}
	}
}

// TestSecretsKept: through all verbs that have to do with secrets, and their failures.
func TestSecretsKept(t *testing.T) {
	t.Parallel()
	f := faultyFleet(t)
	d, ctx := f.door(t), t.Context()
	s := &spy{said: map[string]bool{}, secrets: map[string]string{}}
	verbs, failed := 0, 0
	try := func(err error) {
		verbs++
		if err != nil {
			failed++
			s.hear(err.Error())
			s.hear(fmt.Sprintf("%+v", err))
		}
		for _, inst := range f.records(t) {
			s.keep(inst)
		}
	}
	listen := func(dies int) {
		d.line.fails(func(n int, _ *http.Request) verdict {
			for _, db := range []string{provision.OperationsDB, provision.AuditDB, provision.ClaimsDB} {
				for _, raw := range f.docs(t, db) {
					s.hear(string(raw))
				}
			}
			if dies > 0 && n > dies {
				return lose
			}
			return pass
		})
	}
	phrase := func(text string) *lifecycle.Passphrase {
		p := cheap(text)
		s.secrets[p.Text], s.secrets[p.Key] = "the passphrase", "the vault's key"
		return p
	}
	listen(0)
	_, err := d.Add(ctx, domain(t, "alice.example.com"), lifecycle.Change{Passphrase: phrase("Zmlyc3RTZWNyZXQ="), Email: ptr("owner@example.com"), Phone: ptr("+3312345678")}, nil)
	try(err)
	s.secrets["owner@example.com"], s.secrets["+3312345678"] = "the owner's address", "the owner's number"
	bob := f.door(t).add(t, "bob.example.com", lifecycle.Change{Email: ptr("owner@example.com")})
	s.keep(bob)
	_, err = d.SetPassphrase(ctx, "alice.example.com", *phrase("c2Vjb25kU2VjcmV0"))
	try(err)
	_, err = d.ResendLink(ctx, "bob.example.com", false)
	try(err)
	try(d.Onboard(ctx, bob.ID(), bob.Bytes("register_token"), "a wrong token's passphrase"))
	s.secrets["a wrong token's passphrase"] = "a passphrase"
	_, err = d.Token(ctx, lifecycle.TokenRequest{Domain: "bob.example.com", Audience: "none"})
	try(err)
	for _, p := range []lifecycle.Passphrase{
		{Text: "a bad \xff passphrase"}, {Text: "with few rounds", KDFIterations: 3}, {Text: "half a pair", KDFIterations: 100_000, Key: "keyOfHalfAPair", PublicKey: "publicOfHalfAPair"},
	} {
		_, err = d.SetPassphrase(ctx, "alice.example.com", p)
		s.secrets[p.Text] = "a passphrase"
		for _, key := range []string{p.Key, p.PublicKey} {
			if key != "" {
				s.secrets[key] = "a key"
			}
		}
		try(err)
	}
	for _, dies := range []int{6, 5, 4} { // before and after the vault, and the record
		listen(dies)
		_, err = d.SetPassphrase(ctx, "bob.example.com", *phrase(fmt.Sprintf("dGhpcmRTZWNyZXQ%d", dies)))
		try(err)
		f.clock.advance(expiry)
	}
	listen(0)
	_, err = d.Modify(ctx, "alice.example.com", lifecycle.Change{Settings: map[string]string{"api_token": "ownTokenOfSettings"}})
	s.secrets["ownTokenOfSettings"] = "a secret setting"
	try(err)
	try(d.Destroy(ctx, "alice.example.com", nil))
	for text, what := range s.secrets {
		if text == "" {
			continue
		}
		for said := range s.said {
			if strings.Contains(said, text) && !strings.Contains(what, "owner's") {
				t.Errorf("%s is in %s", what, said)
			}
		}
	}
	for said := range s.said { // what the owner said is in no claim and in no operation
		if strings.Contains(said, "owner@") && !strings.Contains(said, `"verb":"modify"`) {
			t.Errorf("the owner's address is in %s", said)
		}
	}
	t.Logf("%d secrets, %d texts of %d verbs, of which %d failed", len(s.secrets), len(s.said), verbs, failed)
	if len(s.secrets) < 30 || len(s.said) < 20 || failed < 7 {
		t.Error("that is too few")
	}
}
