// Roles: what a token of each may do, on every route.

package admin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-edge/gatehouse/tenancy/access"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// guarded is an API on the admin endpoint that asks for a passphrase.
func guarded(t *testing.T) *api {
	t.Helper()
	a := newAPI(t)
	a.app.hash = hashOf(t, "open sesame")
	a.auth = basic("open sesame")
	return a
}

func hashOf(t *testing.T, passphrase string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(passphrase), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func (a *api) token(name string, role access.Role) string {
	a.t.Helper()
	_, secret, err := a.app.tokens.Add(a.t.Context(), name, role, time.Hour, "test")
	if err != nil {
		a.t.Fatal(err)
	}
	return secret
}

func TestRoles(t *testing.T) {
	t.Parallel()
	a := guarded(t)
	a.keep(certificates.Settings{})
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`)
	tokens := map[access.Role]string{}
	for _, role := range []access.Role{access.Read, access.Block, access.Admin} {
		tokens[role] = a.token(string(role)+"er", role)
	}
	const r, b, x = access.Read, access.Block, access.Admin
	alice := "/instances/alice.example.com"
	for _, c := range []struct {
		need               access.Role
		method, path, body string
	}{
		{r, "GET", "/instances", ""}, {r, "GET", "/instances/count", ""}, {r, "GET", alice, ""}, {r, "GET", alice + "/prefix", ""},
		{r, "GET", alice + "/last-activity", ""}, {r, "GET", alice + "/history", ""}, {x, "GET", "/instances/export", ""},
		{r, "GET", "/tenancy/status", ""}, {r, "GET", "/tenancy/explain?host=alice.example.com", ""},
		{r, "GET", "/tenancy/operations", ""}, {r, "GET", "/tenancy/quarantine", ""},
		{r, "GET", "/tenancy/certificates", ""}, {r, "GET", alice + "/domains", ""}, {x, "POST", alice + "/domains/check", ""},
		{b, "PATCH", alice, `{"Blocked":true,"BlockingReason":"PAYMENT_FAILED"}`}, {b, "PATCH", alice, `{"Blocked":false,"DryRun":true}`},
		{b, "PATCH", alice + "?Blocked=false&ContextName=&DiskQuota=0&Email=&Locale=&MagicLink=false&Settings=&UUID=", ""},
		{x, "PATCH", alice, `{"Locale":"fr"}`}, {x, "PATCH", alice, `{"Blocked":true,"Settings":"context:x"}`}, {x, "PATCH", alice, `{"MagicLink":false}`},
		{x, "PATCH", alice, `{"Blocked":true,"DomainAliases":[]}`}, {x, "PATCH", alice + "?DiskQuota=-1", ""},
		{x, "POST", "/instances", `{"Domain":"new.example.com"}`}, {x, "DELETE", "/instances/new.example.com", ""},
		{x, "POST", "/instances/token?Audience=app&Domain=alice.example.com&Subject=drive", ""},
		{x, "POST", alice + "/auth-mode", `{"auth_mode":"basic"}`}, {x, "POST", alice + "/link", ""},
		{x, "POST", alice + "/passphrase", `{"Passphrase":"correct horse","KdfIterations":50000}`},
		{x, "DELETE", alice + "/sessions", ""}, {x, "POST", "/tenancy/check", ""}, {x, "POST", "/tenancy/repair", ""}, {x, "POST", "/tenancy/adopt", ""},
		{x, "GET", "/tenancy/tokens", ""}, {x, "POST", "/tenancy/tokens", `{"Name":"n","Role":"read"}`}, {x, "DELETE", "/tenancy/tokens/n", ""},
	} {
		for _, role := range []access.Role{r, b, x} {
			got := a.as(bearer(tokens[role])).call(c.method, c.path, c.body)
			may := got.status < 300
			if may != role.May(c.need) || !may && got.status != 403 {
				t.Errorf("%s may %s %s %s: %d %s", role, c.method, c.path, c.body, got.status, got.body)
			}
			if !may && !strings.Contains(got.body, "the token's role is "+string(role)) {
				t.Errorf("%s %s: %s", c.method, c.path, got.body)
			}
		}
	}
	// As the password of basic auth, too.
	a.as(basic(tokens[r])).must(200, "GET", alice, "")
	a.as(basic(tokens[r])).must(403, "DELETE", alice, "")
	for _, bad := range []string{"", "Bearer ", bearer("gh_0011223344556677_" + strings.Repeat("x", 43)), bearer(tokens[x] + "x"), basic("gh_x"), "Digest x"} {
		a.as(bad).must(401, "GET", alice, "")
	}
}

// TestOpenEndpoint: where no passphrase is configured, whoever reaches the
// admin endpoint is an administrator; who shows a token is held to it.
func TestOpenEndpoint(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	token := a.token("reader", access.Read)
	a.must(200, "GET", "/instances/count", "")
	a.as(basic("whatever")).must(200, "GET", "/tenancy/tokens", "")
	a.as(bearer(token)).must(200, "GET", "/instances/count", "")
	a.as(bearer(token)).must(403, "GET", "/tenancy/tokens", "")
	a.as(bearer("gh_nothing")).must(401, "GET", "/instances/count", "")
}

// TestActor: the history has who made a change.
func TestActor(t *testing.T) {
	t.Parallel()
	a := guarded(t)
	a.must(201, "POST", "/instances", `{"Domain":"alice.example.com"}`)
	a.as(bearer(a.token("billing", access.Block))).must(200, "PATCH", "/instances/alice.example.com", `{"Blocked":true}`)
	var history struct {
		Data []struct{ Verb, Actor, Address, Via string }
	}
	if err := json.Unmarshal([]byte(a.must(200, "GET", "/instances/alice.example.com/history", "").body), &history); err != nil || len(history.Data) != 2 {
		t.Fatalf("%+v (%v)", history, err)
	}
	for i, want := range []string{"modify billing 127.0.0.1 admin", "add admin 127.0.0.1 admin"} {
		e := history.Data[i]
		if got := strings.Join([]string{e.Verb, e.Actor, e.Address, e.Via}, " "); got != want {
			t.Errorf("entry %d is %q, want %q", i, got, want)
		}
	}
	if n := strings.Count(a.must(200, "GET", "/instances/alice.example.com/history?page[limit]=1", "").body, `"verb"`); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	a.must(404, "GET", "/instances/bob.example.com/history", "")
}

func TestTokenRoutes(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	r := a.must(201, "POST", "/tenancy/tokens", `{"Name":"billing","Role":"block","Expire":"90d"}`)
	var made struct {
		Data struct{ ID, Token string }
	}
	if err := json.Unmarshal([]byte(r.body), &made); err != nil || !strings.HasPrefix(made.Data.Token, "gh_") {
		t.Fatalf("%s (%v)", r.body, err)
	}
	secret := made.Data.Token[strings.LastIndex(made.Data.Token[:25], "_")+1:]
	if list := a.must(200, "GET", "/tenancy/tokens", ""); strings.Contains(list.body, secret) || strings.Contains(list.body, "digest") || !strings.Contains(list.body, `"name":"billing"`) {
		t.Errorf("the list: %s", list.body)
	}
	for _, bad := range []string{`{"Role":"read"}`, `{"Name":"x","Role":"root"}`, `{"Name":"x","Role":"read","Expire":"soon"}`, `{"Name":"admin","Role":"read"}`, `{"Name":"x","Role":"read","Color":"red"}`} {
		a.must(400, "POST", "/tenancy/tokens", bad)
	}
	a.must(409, "POST", "/tenancy/tokens", `{"Name":"billing","Role":"read"}`)
	a.must(204, "DELETE", "/tenancy/tokens/"+made.Data.ID, "")
	a.must(404, "DELETE", "/tenancy/tokens/billing", "")

	out := a.cli(0, "api-token", "add", "ci", "--role", "admin", "--expire", "90d")
	token := strings.TrimSpace(out.out)
	a.as(bearer(token)).must(200, "GET", "/tenancy/tokens", "")
	ls := a.cli(0, "api-token", "ls")
	contains(t, "api-token ls", ls.out, "name", "ci", "admin")
	if strings.Contains(ls.out+out.err, token) {
		t.Errorf("the token is shown again")
	}
	a.cli(2, "api-token", "add", "other")
	a.cli(2, "api-token", "add", "other", "--role", "root")
	a.cli(4, "api-token", "add", "ci", "--role", "read")
	a.cli(0, "api-token", "revoke", "ci")
	a.cli(3, "api-token", "revoke", "ci")
	a.as(bearer(token)).must(401, "GET", "/tenancy/tokens", "")
}
