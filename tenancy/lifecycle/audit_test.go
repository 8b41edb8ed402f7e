// Audit: an entry for each change, with who asked for it and without secrets, and the
// history of a domain.

package lifecycle_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// history are a domain's entries.
func (d *door) history(t testing.TB, name string, limit int) []lifecycle.Entry {
	t.Helper()
	var out []lifecycle.Entry
	err := d.History(t.Context(), name, limit, func(e lifecycle.Entry) error {
		out = append(out, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAudit: each verb, with its origin and differences, the newest first.
func TestAudit(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		out := newOutside()
		d := out.door(t, f)
		var want []string
		n := 0
		var token []byte
		const name = "alice.example.com"
		for _, step := range []struct {
			verb string
			do   func(c lifecycle.Origin) error
		}{
			{"add", func(o lifecycle.Origin) error {
				added, err := d.Add(lifecycle.WithOrigin(t.Context(), o), domain(t, name), lifecycle.Change{Aliases: &[]string{"al.example.com"}}, nil)
				if err == nil {
					token = added.Bytes("register_token")
				}
				return err
			}},
			{"modify", func(o lifecycle.Origin) error {
				_, err := d.Modify(lifecycle.WithOrigin(t.Context(), o), name, lifecycle.Change{Locale: ptr("fr"), Settings: map[string]string{"api_token": "t0ken", "offer": "free"}, UUID: ptr("u")})
				return err
			}},
			{"modify", func(o lifecycle.Origin) error {
				_, err := d.Modify(lifecycle.WithOrigin(t.Context(), o), name, lifecycle.Change{Aliases: &[]string{"al.example.com", "a.example.com"}, UUID: ptr("")})
				return err
			}},
			{"resend-link", func(o lifecycle.Origin) error {
				inst, err := d.ResendLink(lifecycle.WithOrigin(t.Context(), o), name, false)
				if err == nil {
					token = inst.Bytes("register_token")
				}
				return err
			}},
			{"onboard", func(o lifecycle.Origin) error {
				for id := range f.records(t) {
					return d.Onboard(lifecycle.WithOrigin(t.Context(), o), id, token, "correct horse")
				}
				return errors.New("no record")
			}},
			{"set-passphrase", func(o lifecycle.Origin) error {
				_, err := d.SetPassphrase(lifecycle.WithOrigin(t.Context(), o), name, *cheap("eHh4"))
				return err
			}},
			{"clean-sessions", func(o lifecycle.Origin) error { return d.CleanSessions(lifecycle.WithOrigin(t.Context(), o), name) }},
			{"install-apps", func(o lifecycle.Origin) error {
				_, err := d.InstallApps(lifecycle.WithOrigin(t.Context(), o), name, []string{"drive", brokenApp}, nil)
				return err
			}},
			{"destroy", func(o lifecycle.Origin) error {
				return d.DestroyWith(lifecycle.WithOrigin(t.Context(), o), name, lifecycle.DestroyOptions{Quarantine: ptr(time.Hour)}, nil)
			}},
			{"lift-quarantine", func(o lifecycle.Origin) error { return d.LiftQuarantine(lifecycle.WithOrigin(t.Context(), o), name) }},
		} {
			n++
			f.clock.advance(time.Minute)
			if err := step.do(lifecycle.Origin{Actor: fmt.Sprint("actor ", n), Address: fmt.Sprint("10.0.0.", n), Via: "api"}); err != nil {
				t.Fatalf("%s: %v", step.verb, err)
			}
			want = append([]string{step.verb}, want...)
		}
		got := d.history(t, name, 0)
		var verbs []string
		for i, e := range got {
			verbs = append(verbs, e.Verb)
			k := n - i
			at := f.clock.now().Add(-time.Duration(i) * time.Minute).Format(time.RFC3339Nano)
			if e.Actor != fmt.Sprint("actor ", k) || e.Address != fmt.Sprint("10.0.0.", k) || e.Via != "api" || e.Node != d.name || e.At != at || e.Domain != name || e.Instance != got[0].Instance {
				t.Errorf("the entry of number %d is %+v", k, e)
			}
		}
		if !slices.Equal(verbs, want) {
			t.Fatalf("the history is %q, want %q", verbs, want)
		}
		for verb, want := range map[string]string{
			"install-apps":   `[{"field":"apps","new":["drive"]}]`,
			"resend-link":    `[{"field":"register_token","old":"(secret)","new":"(secret)"}]`,
			"set-passphrase": `[{"field":"passphrase_hash","old":"(secret)","new":"(secret)"},{"field":"session_secret","old":"(secret)","new":"(secret)"}]`,
			"onboard":        `[{"field":"onboarding_finished","new":true},{"field":"passphrase_hash","new":"(secret)"},{"field":"password_defined","old":false,"new":true},{"field":"register_token","old":"(secret)"},{"field":"session_secret","old":"(secret)","new":"(secret)"}]`,
			"clean-sessions": `null`,
		} {
			if e := got[slices.Index(verbs, verb)]; asJSON(t, e.Differences) != want {
				t.Errorf("the differences of %s are %s, want %s", verb, asJSON(t, e.Differences), want)
			}
		}
		first, second := got[n-2], got[n-3]
		if want := `[{"field":"locale","old":"en","new":"fr"},{"field":"uuid","new":"u"},{"field":"settings.api_token","new":"(secret)"},{"field":"settings.offer","new":"free"}]`; asJSON(t, first.Differences) != want {
			t.Errorf("the first modify: %s, want %s", asJSON(t, first.Differences), want)
		}
		if want := `[{"field":"domain_aliases","old":["al.example.com"],"new":["al.example.com","a.example.com"]},{"field":"uuid","old":"u"}]`; asJSON(t, second.Differences) != want {
			t.Errorf("the second modify: %s, want %s", asJSON(t, second.Differences), want)
		}
		add, destroy := got[n-1], got[1]
		if add.Outcome != "done" || destroy.Outcome != "done" || destroy.Databases == 0 || len(add.Steps) == 0 || len(destroy.Names) != 3 || add.Ended == "" {
			t.Errorf("add: %+v, destroy: %+v", add, destroy)
		}
	})
}

// TestHistory: of an alias, of a domain that is gone and made anew, with a limit, and not
// of a neighbour whose name begins alike.
func TestHistory(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		d.add(t, "alice.example.co", lifecycle.Change{})
		for range 2 {
			d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
			f.clock.advance(time.Second)
			for _, locale := range []string{"fr", "de"} {
				if _, err := d.Modify(t.Context(), "al.example.com", lifecycle.Change{Locale: &locale}); err != nil {
					t.Fatal(err)
				}
				f.clock.advance(time.Second)
			}
			if got := d.history(t, "AL.example.com", 0); got[0].Verb != "modify" || asJSON(t, got[0].Differences[0].New) != `"de"` {
				t.Errorf("the history of the alias is %+v", got)
			}
			if err := d.Destroy(t.Context(), "alice.example.com", nil); err != nil {
				t.Fatal(err)
			}
			f.clock.advance(time.Second)
		}
		var verbs []string
		for _, e := range d.history(t, "alice.example.com.", 0) {
			verbs = append(verbs, e.Verb)
		}
		if got := strings.Join(verbs, " "); got != "destroy modify modify add destroy modify modify add" {
			t.Errorf("the history is %s", got)
		}
		for limit, want := range map[int]int{1: 1, 3: 3, 8: 8, 100: 8} {
			got := d.history(t, "alice.example.com", limit)
			if len(got) != want || got[0].Verb != "destroy" {
				t.Errorf("with limit %d there are %d: %+v", limit, len(got), got)
			}
		}
		if got := d.history(t, "alice.example.co", 0); len(got) != 1 {
			t.Errorf("the neighbour's history is %+v", got)
		}
		for _, name := range []string{"nobody.example.com", "al.example.com", "a b"} {
			is(t, d.History(t.Context(), name, 0, func(lifecycle.Entry) error { return nil }), tenancy.ErrNotFound, "the history of "+name)
		}
		stop := errors.New("enough")
		is(t, d.History(t.Context(), "alice.example.com", 0, func(lifecycle.Entry) error { return stop }), stop, "one who stops")
	})
}
