// What the command takes from its environment. These tests change it, so they are
// not parallel.

package admin_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/tenancy/access"
)

func TestEnvironment(t *testing.T) {
	for _, variable := range []string{"COZY_ADMIN_PASSPHRASE", "COZY_ADMIN_PASSWORD", "GATEHOUSE_API_TOKEN", "COZY_DISABLE_INSTANCES_ADD_RM"} {
		t.Setenv(variable, "")
	}
	x := listen(t, &admin.Listener{Address: "127.0.0.1:0", BasicAuth: hashOf(t, "open sesame")})
	contains(t, "without a login", x.cli(1, "count").err, "COZY_ADMIN_PASSPHRASE", "GATEHOUSE_API_TOKEN")
	t.Setenv("COZY_ADMIN_PASSWORD", "open sesame")
	x.cli(0, "add", "alice.example.com")
	t.Setenv("COZY_ADMIN_PASSPHRASE", "wrong")
	x.cli(1, "count")
	t.Setenv("GATEHOUSE_API_TOKEN", x.token("reader", access.Read)) // goes first
	x.cli(0, "show", "alice.example.com")
	contains(t, "what a role may not", x.cli(1, "modify", "alice.example.com", "--blocked").err, "the token's role is read")
	t.Setenv("COZY_DISABLE_INSTANCES_ADD_RM", "ask the billing team")
	for _, args := range [][]string{{"add", "bob.example.com"}, {"destroy", "alice.example.com", "--force"}, {"import", "-"}} {
		contains(t, args[0], x.cli(1, args...).err, "ask the billing team")
	}
	for _, bad := range []string{
		"https://user:hunter2@localhost:6061", "https://localhost/path", "https://", "localhost:1-3", "http://localhost?x=y",
	} {
		if r := command(t.Context(), bad, "", "count"); r.code != 2 || strings.Contains(r.err, "hunter2") {
			t.Errorf("%s: %d %s", bad, r.code, r.err)
		}
	}
	if r := command(t.Context(), "localhost:2019", "", "count", "--ca", "x.pem"); r.code != 2 {
		t.Errorf("--ca without https: %d %s", r.code, r.err)
	}
}
