// Reloads, good and bad, under load.

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReload(t *testing.T) {
	// Not the one in the front door itself, whose connections a reload closes as well.
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "domain=%s", r.Header.Get("X-Gatehouse-Domain")) // a client that has gone is no concern
	}))
	t.Cleanup(upstream.Close)
	d := newDoor(t, "store embedded ./data")
	d.proxy = strings.Replace(echo, "127.0.0.1:%d", upstream.Listener.Addr().String(), 1)
	d.configure("")
	d.startReady()
	d.run("instances", "add", "bob.localhost")
	load := newLoad(t, d, "bob.localhost")
	for _, handler := range []string{"support help@example.com", "unknown pass", "unknown page"} {
		d.configure(handler)
		d.reload(0)
	}
	// One that adapts and fails when it is loaded, and one that does not adapt.
	d.configure("support not-an-address")
	d.reload(1)
	d.configure("nonsense")
	d.reload(1)
	if a := d.mustGet("bob.localhost", "/"); a.status != 200 {
		t.Errorf("after a failed reload: %d", a.status)
	}
	d.run("instances", "modify", "bob.localhost", "--public-name", "Bob")
	d.configure("")
	d.reload(0)
	load.end()
	if s := d.status(); s.Directory.Loads != 1 || s.Directory.State != "following" {
		t.Errorf("the directory is %s after %d loads", s.Directory.State, s.Directory.Loads)
	}
}

func (d *door) reload(want int) {
	d.t.Helper()
	_, stderr, code := d.try("reload", "--config", "Caddyfile", "--force")
	if code != want {
		d.t.Fatalf("reload exits with %d, want %d: %s", code, want, stderr)
	}
}

// Validating opens nothing, so it works beside a running front door.
func TestValidate(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data")
	if _, stderr, code := d.try("validate", "--config", "Caddyfile"); code != 0 {
		t.Fatalf("validate exits with %d: %s", code, stderr)
	}
	d.startReady()
	if _, stderr, code := d.try("validate", "--config", "Caddyfile"); code != 0 {
		t.Fatalf("validate beside a running front door exits with %d: %s", code, stderr)
	}
	d.store = "store couchdb http://admin:hunter2@127.0.0.1:1"
	d.configure("")
	_, stderr, code := d.try("validate", "--config", "Caddyfile")
	if code == 0 || !strings.Contains(stderr, "username {env.COUCHDB_USER}") || strings.Contains(stderr, "hunter2") {
		t.Errorf("validate of a URL with credentials exits with %d: %s", code, stderr)
	}
}

// A second process on the file of another is told so, and serves nobody.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data")
	d.startReady()
	d.run("instances", "add", "bob.localhost")
	other := newDoor(t, "store embedded "+d.dir+"/data\n\t\tsnapshot off")
	other.start()
	if a := other.mustGet("bob.localhost", "/", "Accept", "application/json"); a.status != 503 || !strings.Contains(a.body, "NOT_READY") {
		t.Errorf("the second process answers %d %s", a.status, a.body)
	}
	_, stderr, code := other.try("instances", "add", "eve.localhost")
	if code != 5 || !strings.Contains(stderr, "in use by another process") {
		t.Errorf("add by the second process exits with %d: %s", code, stderr)
	}
	d.stop()
	other.wait("the second process has the store", func() error { return other.served("bob.localhost") })
}
