// Two front doors on one store, with hooks, quarantine and logins, and what one of them
// makes of what the other leaves.

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// two are front doors on one store. The first has its API on a listener with TLS and a
// passphrase, the other on one that takes tokens alone.
type two struct {
	one, other *door
	server     couchServer
	hooks      *receiver
	api        []string // URLs of the listeners
}

// in are the same for a subtest.
func (w *two) in(t testing.TB) *two {
	out := *w
	out.one, out.other = w.one.in(t), w.other.in(t)
	out.server.t, out.hooks = t, w.hooks.in(t)
	return &out
}

// administrator is the passphrase of the first one's listener.
const administrator = "open sesame, says the administrator"

func newTwo(t *testing.T) *two {
	t.Helper()
	w := &two{server: couchServer{t, testkit.PouchDB(t).URL()}, hooks: receive(t)}
	hash, err := bcrypt.GenerateFromPassword([]byte(administrator), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 2)
	common := "store couchdb " + w.server.url + w.hooks.lines()
	w.one = newDoor(t, common+fmt.Sprintf(`
		api 127.0.0.1:%d {
			basic_auth {env.GATEHOUSE_API_HASH}
			tls api.pem api.key
		}`, ports[0]))
	w.other = newDoor(t, common+fmt.Sprintf("\n\t\tapi 127.0.0.1:%d", ports[1]))
	w.one.writePair("api")
	for _, d := range []*door{w.one, w.other} {
		d.env = []string{"GATEHOUSE_HOOK_SECRET=" + hookSecret, "GATEHOUSE_API_HASH=" + string(hash)}
	}
	w.api = []string{fmt.Sprintf("https://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])}
	startReady(w.one, w.other)
	return w
}

func TestTwoFrontDoors(t *testing.T) {
	t.Parallel()
	w := newTwo(t)
	w.leave(t)
	begun := time.Now()
	t.Run("hooks", func(t *testing.T) { hooksTold(t, w.in(t)) })
	t.Run("quarantine", func(t *testing.T) { quarantined(t, w.in(t)) })
	t.Run("watch", func(t *testing.T) { watched(t, w.in(t)) })
	t.Run("a stack's instance", func(t *testing.T) { stackMakes(t, w.in(t)) })
	t.Run("roles", func(t *testing.T) { listenerRoles(t, w.in(t)) })
	t.Run("a stack's command line", func(t *testing.T) { listenerStack(t, w.in(t)) })
	t.Run("lockout", func(t *testing.T) { listenerLockout(t, w.in(t)) })
	t.Run("what was left", func(t *testing.T) { w.in(t).tended(t, begun) })
	t.Run("damage", func(t *testing.T) { damage(t, w.in(t)) })
	t.Run("orphans", func(t *testing.T) { orphans(t, w.in(t)) })
	for _, d := range []*door{w.one, w.other} {
		keeps(t, "the log", d.log.String(), administrator, hookSecret)
	}
}

// leave kills the first front door in the middle of an add and of a destroy, and starts
// it again.
func (w *two) leave(t *testing.T) {
	t.Helper()
	w.one.add("gone.localhost", nil)
	w.other.answers("gone.localhost", 200)
	ended := make(chan int, 1)
	begun := make(chan struct{})
	go func() {
		begin := begun
		ended <- w.one.follow(http.MethodDelete, "/instances/gone.localhost", nil, func(s step) {
			if s.Step == "databases" && begin != nil {
				close(begin)
				begin = nil
			}
		})
	}()
	<-begun
	status := w.one.follow(http.MethodPost, "/instances", params{"Domain": "half.localhost"}, func(s step) {
		if s.Step == "databases" {
			w.one.kill()
		}
	})
	if status != 0 {
		t.Fatalf("the add has ended with %d before the front door", status)
	}
	if <-ended != 0 {
		t.Log("the destroy has ended before the front door")
	}
	w.one.startReady()
	for _, d := range []*door{w.one, w.other} {
		if a := d.mustGet("half.localhost", "/"); a.status != http.StatusNotFound {
			t.Errorf("half an instance answers %d", a.status)
		}
		if a := d.mustGet("gone.localhost", "/"); a.status != http.StatusGone && a.status != http.StatusNotFound {
			t.Errorf("an instance that is half destroyed answers %d", a.status)
		}
	}
}

// tended waits until the front doors have ended what was left. Each looks at the journal
// every minute, give or take a half, and takes over what has been left for 35 s.
func (w *two) tended(t *testing.T, begun time.Time) {
	w.one.waitFor(150*time.Second, "the journal is empty", func() error {
		if left := w.one.listOf("/tenancy/operations?All=true"); len(left) > 0 {
			return fmt.Errorf("%v", left)
		}
		return nil
	})
	t.Logf("what a front door left was ended within %v", time.Since(begun).Round(time.Second))
	for _, d := range []*door{w.one, w.other} {
		d.answers("gone.localhost", 404)
		d.answers("half.localhost", 404)
	}
	w.other.add("half.localhost", nil)
	w.other.add("gone.localhost", nil)
}

// stackMakes writes an instance as a stack does, which knows no claims: the front doors
// serve it, claim its names, and destroy it.
func stackMakes(t *testing.T, w *two) {
	record, err := json.Marshal(params{"domain": "stack.localhost", "prefix": tenancyPrefix(t, "stack.localhost"), "domain_aliases": []string{"st.localhost"}, "locale": "en", "indexes_version": 38})
	if err != nil {
		t.Fatal(err)
	}
	w.server.change(http.MethodPut, "global/instances", "0123456789abcdef0123456789abcdef", string(record))
	for _, d := range []*door{w.one, w.other} {
		d.answers("stack.localhost", 200)
		d.answers("drive.st.localhost", 200)
	}
	for _, name := range []string{"stack.localhost", "st.localhost"} {
		w.one.wait(name+" is claimed", func() error {
			if claim := w.server.doc("gatehouse/claims", name); claim["instance"] != "0123456789abcdef0123456789abcdef" {
				return fmt.Errorf("the claim is %v", claim)
			}
			return nil
		})
	}
	w.other.api(http.StatusConflict, http.MethodPost, "/instances", params{"Domain": "st.localhost"})
	w.other.api(http.StatusNoContent, http.MethodDelete, "/instances/stack.localhost", nil)
	w.one.answers("stack.localhost", 404)
}
