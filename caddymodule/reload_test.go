// Reload: what the runtime goes by after one, and after one that has failed.

package caddymodule_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// TestFailedReload: after a reload that fails in another app, what holds is the
// configuration that goes on to run, all of it.
func TestFailedReload(t *testing.T) {
	store := filepath.Join(t.TempDir(), "data")
	_, app := run(t, store, `,"subdomains":"flat","clusters":[{"index":0,"closed":true}],"contexts":{"default":{"locale":"fr"}}`)
	closed := func(when string) {
		t.Helper()
		domain, err := tenancy.ParseDomain("alice.example.com")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := app.Lifecycle().Add(t.Context(), domain, lifecycle.Change{}, nil); !errors.Is(err, tenancy.ErrConflict) {
			t.Errorf("%s an add to a closed cluster: %v", when, err)
		}
	}
	closed("before the reload")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	off := false
	err = caddy.Run(&caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}}, Logging: quiet,
		AppsRaw: caddy.ModuleMap{
			"tenancy": json.RawMessage(fmt.Sprintf(`{"store":{"driver":"embedded","path":%q},"snapshot":"off"}`, store)),
			"http":    json.RawMessage(fmt.Sprintf(`{"servers":{"a":{"listen":[%q]}}}`, taken.Addr())),
		},
	})
	if err == nil {
		t.Fatal("two listen on one port")
	}
	closed("after a reload that failed")
	change := lifecycle.Change{CouchCluster: ptr(0)}
	if inst := add(t, app, "bob.example.com", change); inst.Locale() != "fr" {
		t.Errorf("the locale is %q", inst.Locale())
	}
	_, app = reload(t, store, "")
	if inst := add(t, app, "alice.example.com", lifecycle.Change{}); inst.Locale() != "en" {
		t.Errorf("after a reload the locale is %q", inst.Locale())
	}
}
