// Repair: of what front doors leave that are killed in the middle, and of what others damage.

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/embedded"
)

// moments at which a front door is killed, in an add and in a destroy.
var moments = []struct {
	verb, step string
	done       int
}{
	{"add", "databases", 0}, {"destroy", "databases", 0}, {"add", "databases", 8}, {"destroy", "flag", 0},
	{"add", "record", 0}, {"destroy", "databases", 9}, {"destroy", "record", 0},
}

func TestKillAndRepair(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "store embedded ./data")
	d.startReady()
	names := make([]string, len(moments))
	for i, m := range moments {
		names[i] = fmt.Sprintf("%s%d.localhost", m.verb, i)
		if m.verb == "destroy" {
			d.add(names[i], nil)
		}
	}
	var status int
	for i, m := range moments {
		kill := func(s step) {
			if s.Step == m.step && s.Done >= m.done {
				d.kill()
			}
		}
		if m.verb == "add" {
			status = d.follow(http.MethodPost, "/instances", params{"Domain": names[i]}, kill)
		} else {
			status = d.follow(http.MethodDelete, "/instances/"+names[i], nil, kill)
		}
		d.kill() // where it was quicker than the lines of its progress
		d.startReady()
		a := d.mustGet(names[i], "/")
		// The first step of a destroy is told before the flag is written. Who does not
		// find the flag takes the destroy back.
		if m.verb == "add" && a.status != 404 && a.status != 200 || m.verb == "destroy" && m.step != "flag" && a.status == 200 {
			t.Errorf("killed at %s %s %d: %d %s", m.verb, m.step, m.done, a.status, a.body)
		}
	}
	last := names[len(names)-1]
	if a, err := d.call(http.MethodDelete, "/instances/"+last, nil); status == 0 && (err != nil || a.status != 409 && a.status != 404) {
		t.Errorf("while the dead front door has its lease, a second destroy gets %d %s (%v)", a.status, a.body, err)
	}
	begin := time.Now()
	d.wait("all leases are over", func() error {
		all, left := d.listOf("/tenancy/operations?All=true"), d.listOf("/tenancy/operations")
		if len(left) < len(all) {
			return fmt.Errorf("%d of %d", len(left), len(all))
		}
		return nil
	})
	t.Logf("the leases were over after %v", time.Since(begin).Round(time.Second))

	// The same command again, without a repair.
	if a, err := d.call(http.MethodPost, "/instances", params{"Domain": names[0]}); err != nil || a.status != 201 && a.status != 409 {
		t.Errorf("an add once more: %d %s (%v)", a.status, a.body, err)
	}
	if a, err := d.call(http.MethodDelete, "/instances/"+names[1], nil); err != nil || a.status != 204 && a.status != 404 {
		t.Errorf("a destroy once more: %d %s (%v)", a.status, a.body, err)
	}
	t.Log(d.run("instances", "repair"))
	says(t, "check", d.run("instances", "check"), ": 0 found, 0 mended")
	if left := d.listOf("/tenancy/operations?All=true"); len(left) > 0 {
		t.Errorf("in the journal is %v", left)
	}
	for i, m := range moments {
		switch a := d.mustGet(names[i], "/"); {
		case m.verb == "add" && a.status == 404:
			d.add(names[i], nil)
		case m.verb == "destroy" && m.step == "flag" && a.status == 200:
			d.api(http.StatusNoContent, http.MethodDelete, "/instances/"+names[i], nil)
		case a.status != 200 && m.verb == "add" || a.status != 404 && m.verb == "destroy":
			t.Errorf("after a repair %s answers %d %s", names[i], a.status, a.body)
		}
	}
	d.stop()
	left(t, d, 3)
}

// left counts what is in the store of a stopped front door, which has so many instances.
func left(t *testing.T, d *door, instances int) {
	t.Helper()
	store := embedded.New(d.dir + "/data/gatehouse.db")
	defer store.Close()
	c, ctx := couch.Wrap("left", store.Client()), context.Background()
	all, err := c.ListDBs(ctx, "cozy")
	if err != nil || len(all) != 16*instances {
		t.Errorf("%d databases are left of %d instances (%v)", len(all), instances, err)
	}
	for _, db := range []string{"global/instances", "gatehouse/claims"} {
		n := 0
		err := c.Walk(ctx, db, couch.Range{}, func(r couch.Row) error {
			if !strings.HasPrefix(r.ID, "_design/") {
				n++
			}
			return nil
		})
		if err != nil || n != instances {
			t.Errorf("%s has %d documents of %d instances (%v)", db, n, instances, err)
		}
	}
}

// change makes a request to the server itself, as an operator does by hand.
func (s couchServer) change(method, db, id, body string) {
	s.t.Helper()
	target := s.url + "/" + url.PathEscape(db)
	if id != "" {
		target += "/" + url.PathEscape(id)
	}
	if method == http.MethodDelete && id != "" {
		target += "?rev=" + url.QueryEscape(s.doc(db, id)["_rev"].(string))
	}
	a, err := send(plain, method, target, "", body, "Content-Type", jsonType)
	if err != nil || a.status >= 300 {
		s.t.Fatalf("%s %s: %d %s (%v)", method, target, a.status, a.body, err)
	}
}

// found is the sum of a check by the API.
func (d *door) found() int {
	d.t.Helper()
	lines := strings.Split(strings.TrimSpace(d.api(200, http.MethodPost, "/tenancy/check", nil).body), "\n")
	sum := decode[struct {
		Status int
		Body   struct{ Found *int }
	}](d.t, lines[len(lines)-1])
	if sum.Status != 200 || sum.Body.Found == nil {
		d.t.Fatalf("check answers %s", lines)
	}
	return *sum.Body.Found
}

// damage is done to the store behind the front doors, found, and mended.
func damage(t *testing.T, w *two) {
	if n := w.one.found(); n != 0 {
		t.Errorf("before any damage a check finds %d: %s", n, w.one.api(200, http.MethodPost, "/tenancy/check", nil).body)
	}
	half := tenancyPrefix(t, "half.localhost")
	w.server.change(http.MethodDelete, half+"/io-cozy-contacts", "", "")
	w.server.change(http.MethodDelete, half+"/io-cozy-settings", "", "")
	w.server.change(http.MethodDelete, "gatehouse/claims", "alice.localhost", "") // which was added long ago, so that nobody is about to claim it
	ghost, err := json.Marshal(params{"instance": "nobody", "operation": "add-nobody", "domain": "ghost.localhost", "node": "x", "claimed_at": "2026-01-02T03:04:05Z"})
	if err != nil {
		t.Fatal(err)
	}
	w.server.change(http.MethodPut, "gatehouse/claims", "ghost.localhost", string(ghost))

	out, stderr, code := w.other.try("instances", "check")
	if code != 1 || !strings.Contains(stderr, "3 findings are left") {
		t.Errorf("check exits with %d: %s", code, stderr)
	}
	kinds := []string{"record_without_databases: half.localhost", "record_without_claim: alice.localhost", "claim_without_record: ghost.localhost"}
	for _, kind := range kinds {
		says(t, "check", out, "found   "+kind)
	}
	if n := w.one.found(); n != 3 {
		t.Errorf("after a check another finds %d", n)
	}
	out = w.one.run("instances", "repair")
	for _, kind := range kinds {
		says(t, "repair", out, "mended  "+kind)
	}
	says(t, "repair", out, "3 found, 3 mended")
	says(t, "check", w.other.run("instances", "check"), ": 0 found, 0 mended")
	if doc := w.server.doc(half+"/io-cozy-settings", "io.cozy.settings.instance"); doc == nil {
		t.Error("the settings have not been made again")
	}
	if claim := w.server.doc("gatehouse/claims", "alice.localhost"); claim["instance"] != w.server.record("alice.localhost")["_id"] {
		t.Errorf("the claim is %v", claim)
	}
}
