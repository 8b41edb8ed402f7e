// What is asked of a whole store: journal, check, repair, adoption, history.

package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// events reads the lines of a streamed answer: the kinds of findings, and the last.
func findings(t *testing.T, body string) (kinds []string, last string) {
	t.Helper()
	for line := range strings.Lines(body) {
		var e struct {
			Status  int
			Body    json.RawMessage
			Finding *struct{ Kind string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s (%v)", line, err)
		}
		if e.Finding != nil {
			kinds = append(kinds, e.Finding.Kind)
		}
		if e.Status != 0 && e.Status != 200 {
			t.Errorf("it ends with %s", line)
		}
		last = string(e.Body)
	}
	return kinds, last
}

// TestRepair: what a stack has left is found, then mended; a name that two have
// is left to people.
func TestRepair(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`)
	if kinds, last := findings(t, a.must(200, "POST", "/tenancy/check", "").body); len(kinds) != 0 || !strings.Contains(last, `"instances":1,`) {
		t.Errorf("of a sound store: %v, %s", kinds, last)
	}
	a.cli(0, "check")
	// A claim of nobody, as a crash leaves it.
	if _, err := a.app.cluster.Put(t.Context(), provision.ClaimsDB, "lost.example.com", map[string]any{
		"_id": "lost.example.com", "domain": "lost.example.com", "instance": "0123456789abcdef0123456789abcdef", "operation": "modify-0123456789abcdef0123456789abcdef",
	}); err != nil {
		t.Fatal(err)
	}
	r := a.cli(1, "check")
	contains(t, "check", r.out+r.err, "claim_without_record", "1 found, 0 mended", "1 findings are left")
	contains(t, "check as JSON", a.cli(1, "check", "--json").out, `{"finding":{"kind":"claim_without_record"`, `{"report":{`)
	a.cli(1, "repair", "--dry-run")
	a.cli(0, "check", "--domain", "alice.example.com")
	contains(t, "repair", a.cli(0, "repair").out, "mended  claim_without_record", "1 found, 1 mended")
	a.cli(0, "check")
	for _, bad := range []string{`{"DryRun":"perhaps"}`, `{"DropOrphans":3}`, `{"Colour":"red"}`} {
		a.must(400, "POST", "/tenancy/repair", bad)
	}
	a.must(405, "GET", "/tenancy/repair", "")
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`)
	for id, domain := range map[string]string{"0a": "bob.example.com", "0b": "carol.example.com"} {
		if _, err := a.app.cluster.Put(t.Context(), provision.InstancesDB, id, map[string]any{"_id": id, "domain": domain, "prefix": "cozy" + id}); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, "adopt", a.cli(0, "adopt").out, "3 instances: 2 names claimed, 0 refused")
	contains(t, "adopt again", a.cli(0, "adopt").out, "0 names claimed")
	if _, err := a.app.cluster.Put(t.Context(), provision.InstancesDB, "0c", map[string]any{"_id": "0c", "domain": "alice.example.com", "prefix": "cozy0c"}); err != nil {
		t.Fatal(err)
	}
	r := a.cli(1, "adopt")
	contains(t, "a name of two", r.out+r.err, "alice.example.com", "1 refused", "1 names belong to two instances")
}

func TestOperations(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	if r := a.must(200, "GET", "/tenancy/operations", ""); strings.TrimSpace(r.body) != `{"data":[]}` {
		t.Errorf("before the first: %s", r.body)
	}
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`)
	if _, err := a.app.cluster.Put(t.Context(), provision.OperationsDB, "add-0123", map[string]any{
		"_id": "add-0123", "verb": "add", "state": "failed", "domain": "bob.example.com", "node": "elsewhere", "started_at": "2026-01-02T03:04:05Z", "error": "out of luck",
	}); err != nil {
		t.Fatal(err)
	}
	contains(t, "operations", a.cli(0, "operations").out, "domain", "bob.example.com", "failed", "elsewhere", "out of luck")
	contains(t, "as JSON", a.cli(0, "operations", "--all", "--json").out, `"verb":"add"`)
	a.must(400, "GET", "/tenancy/operations?All=perhaps", "")
}

func TestHistoryCommand(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.cli(0, "add", "alice.example.com", "--locale", "en")
	a.cli(0, "modify", "alice.example.com", "--locale", "fr")
	a.cli(0, "resend-link", "alice.example.com")
	r := a.cli(0, "history", "alice.example.com")
	contains(t, "history", r.out, "when", "who", "from", "verb", "differences", "admin", "127.0.0.1 admin", "locale: en → fr", "add", "register_token: (secret) → (secret)")
	if lines := strings.Count(a.cli(0, "history", "alice.example.com", "--limit", "1", "--json").out, "\n"); lines != 1 {
		t.Errorf("%d lines, want 1", lines)
	}
	a.cli(0, "destroy", "alice.example.com", "--force")
	contains(t, "of one that is gone", a.cli(0, "history", "alice.example.com").out, "destroy")
	a.cli(3, "history", "bob.example.com")
	a.cli(2, "history", "alice.example.com", "--limit", "-1")
}
