// Kill: a front door dies at each step of each verb, in both ways, and what it leaves
// is as before or complete after a repair, after the same command again, and after a
// round of tending.

package lifecycle_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// killed is a verb to die in.
type killed struct {
	costly bool                        // a passphrase is hashed each time
	steps  int                         // at least so many requests
	before func(t *testing.T, r *ruin) // makes the world by a healthy front door
	// prepare, where there is one, is what the victim does before it is doomed.
	prepare func(t *testing.T, d *door) error
	act     func(t *testing.T, r *ruin, d *door) error // what the victim, or the next, is asked for
	check   func(t *testing.T, r *ruin)                // as before or complete, never between
	after   func(t *testing.T, r *ruin, d *door)       // it can be done again; leaves an empty store
}

// ruin is one death.
type ruin struct {
	*fleet
	out  *outside
	n    int    // requests that the victim has made
	half bool   // the next one was done, and its answer lost
	way  string // repair, again, tend
	died error  // what the victim said
	seen int    // events before it

	thorough bool // all of the store is looked through, not what is the domain's alone
}

func (r *ruin) String() string {
	return fmt.Sprintf("dead after %d requests, the next half done: %t, then %s", r.n, r.half, r.way)
}

// past is longer than any lease, of an event in the outbox too.
const past = 11 * time.Minute

// each lets a front door die in the verb at each of its requests, in both ways. On the
// embedded store a repair follows each death, and after some the other ways do in turns;
// on a server one of the three, in turns. What was tried is printed at the end.
func (k killed) each(t *testing.T) {
	t.Helper()
	eachLine(t, func(t *testing.T, f *fleet) {
		if f.kind == testkit.KindPouchDB {
			f.apart(t)
		}
		out := newOutside(lifecycle.AfterAdd)
		f.out = out
		sent, _ := k.once(t, &ruin{fleet: f, out: out, n: 1 << 30, way: "repair", thorough: true})
		steps, faults, cut := len(sent), 0, true
		for n := 0; cut; n++ {
			// Of the databases of instances there are many alike.
			alike := n < steps && strings.Contains(sent[n], " /cozy") && n%6 != 0
			for turn, half := range []bool{false, true} {
				ways := []string{"repair", "again", "tend"}
				switch {
				case f.kind != testkit.KindEmbedded || k.costly:
					ways = ways[(2*n+turn)%3:][:1]
				case n%2 == 1 || alike:
					ways = ways[:1]
				default:
					ways = []string{"repair", ways[1+(n/2+turn)%2]}
				}
				for _, way := range ways {
					r := &ruin{fleet: f, out: out, n: n, half: half, way: way, seen: len(out.told("")), thorough: !alike && half == (n%2 == 0) && (f.kind == testkit.KindEmbedded || n%6 == 0)}
					if _, cut = k.once(t, r); cut {
						faults++
					}
				}
			}
		}
		tried(t, f.kind, steps, faults)
		if steps < k.steps || faults < 2*steps-2 {
			t.Errorf("there were only %d steps and %d faults, want %d steps, and two faults at each", steps, faults, k.steps)
		}
	})
}

// once is one death and what follows. cut is false where the victim made so few requests
// that it came to its end.
func (k killed) once(t *testing.T, r *ruin) (sent []string, cut bool) {
	t.Helper()
	f := r.fleet
	k.before(t, r)
	victim := r.out.door(t, f)
	if k.prepare != nil {
		if err := k.prepare(t, victim); err != nil {
			t.Fatal(err)
		}
	}
	victim.line.dies(r.n, r.half)
	r.died = k.act(t, r, victim)
	sent = victim.line.sent()
	if cut = len(sent) > r.n; !cut && r.died != nil {
		t.Errorf("nobody died, and yet: %v", r.died)
	}
	if err := victim.Close(t.Context()); err != nil {
		t.Error(err)
	}
	f.clock.advance(past)
	heir := r.out.door(t, f)
	only := "alice.example.com" // all lists of databases are hundreds of requests
	if r.thorough {
		only = ""
	}
	switch r.way {
	case "repair":
		f.repaired(t, heir, only)
	case "again":
		err := k.act(t, r, heir)
		if err != nil && !errors.Is(err, tenancy.ErrExists) && !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("the same again: %v", err)
		}
		heir.TendOnce(t.Context()) // what it had no part in, as of events
	case "tend":
		heir.TendOnce(t.Context())
	}
	k.check(t, r)
	f.fitting(t, heir, only)
	k.after(t, r, heir)
	if t.Failed() {
		t.Fatalf("%s (%v); the requests were\n%s", r, r.died, strings.Join(sent, "\n"))
	}
	victim.hangUp()
	heir.hangUp()
	return sent, cut
}

// filed checks that those domains have files, and no others.
func (r *ruin) filed(t testing.TB, want ...string) {
	t.Helper()
	if got := r.out.domains(); !slices.Equal(got, want) {
		t.Errorf("there are files of %q, want %q", got, want)
	}
}

// gone destroys what there is, and checks that nothing is left.
func (r *ruin) gone(t testing.TB, d *door) {
	t.Helper()
	for _, inst := range r.records(t) {
		if err := d.Destroy(t.Context(), inst.Domain(), nil); err != nil {
			t.Errorf("destroying %s: %v", inst.Domain(), err)
		}
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	r.whole(t)
	r.filed(t)
	if left := r.journal(t); len(left) != 0 {
		t.Errorf("left in the journal: %q", left)
	}
}

// cheap is a passphrase that the client has hashed.
func cheap(text string) *lifecycle.Passphrase {
	return &lifecycle.Passphrase{Text: text, KDFIterations: 100_000, Key: "0." + text + "|a2V5"}
}

// TestKilledInAdd: with aliases, files, an app, a hook, and now and then a passphrase.
func TestKilledInAdd(t *testing.T) {
	t.Parallel()
	const name = "alice.example.com"
	change := func(r *ruin) lifecycle.Change {
		c := lifecycle.Change{Aliases: &[]string{"al.example.com", "a.example.com"}, Apps: &[]string{"drive"}, Email: ptr("a@b.c")}
		r.more = map[string]int{"io-cozy-apps": 1, "io-cozy-permissions": 1}
		if r.n%16 == 15 && r.way == "repair" {
			c.Passphrase = cheap("aGFzaA==")
			r.more["io-cozy-settings"] = 1
		}
		return c
	}
	killed{
		steps:  43,
		before: func(*testing.T, *ruin) {},
		act: func(t *testing.T, r *ruin, d *door) error {
			_, err := d.Add(t.Context(), domain(t, name), change(r), nil)
			return err
		},
		check: func(t *testing.T, r *ruin) {
			if len(r.records(t)) == 0 {
				if r.died == nil || r.way == "again" {
					t.Error("it was said to be made, and is not there")
				}
				r.whole(t)
				r.filed(t)
				if told := r.out.told("")[r.seen:]; len(told) != 0 {
					t.Errorf("an add that was undone was told of: %+v", told)
				}
				return
			}
			r.whole(t, name)
			r.filed(t, name)
			inst := r.named(t, name)[name]
			r.out.until(t, "the hook", func() bool {
				return slices.ContainsFunc(r.out.told(lifecycle.AfterAdd), func(e lifecycle.Event) bool { return e.Instance == inst.ID() })
			})
			if inst.Has("passphrase_hash") != (r.more["io-cozy-settings"] == 1) {
				t.Errorf("the record has the fields %q", inst.Fields())
			}
		},
		after: func(t *testing.T, r *ruin, d *door) {
			if len(r.records(t)) == 0 {
				r.more["io-cozy-settings"] = 0
				d.add(t, name, lifecycle.Change{Aliases: &[]string{"al.example.com"}, Apps: &[]string{"drive"}})
				r.whole(t, name)
			}
			r.gone(t, d)
		},
	}.each(t)
}

// TestKilledInDestroy: with a quarantine.
func TestKilledInDestroy(t *testing.T) {
	t.Parallel()
	const name = "alice.example.com"
	names := []string{"al.example.com", name}
	killed{
		steps: 32,
		before: func(t *testing.T, r *ruin) {
			d := r.out.door(t, r.fleet)
			d.add(t, name, lifecycle.Change{Aliases: &[]string{"al.example.com"}})
			r.out.until(t, "the hook", func() bool { return len(r.out.told("")) > r.seen })
			if err := d.Close(t.Context()); err != nil {
				t.Error(err)
			}
		},
		act: func(t *testing.T, _ *ruin, d *door) error {
			return d.DestroyWith(t.Context(), name, lifecycle.DestroyOptions{Quarantine: ptr(time.Hour)}, nil)
		},
		check: func(t *testing.T, r *ruin) {
			if len(r.records(t)) != 0 && r.died != nil && r.way != "again" { // it had not begun
				r.whole(t, name)
				r.filed(t, name)
				if inst := r.named(t, name)[name]; inst.State() != tenancy.Active || len(r.quarantined(t)) != 0 {
					t.Errorf("it is %s, and in quarantine are %q", inst.State(), r.quarantined(t))
				}
				return
			}
			r.whole(t)
			r.filed(t)
			if got := r.quarantined(t); !slices.Equal(got, names) {
				t.Errorf("in quarantine are %q", got)
			}
		},
		after: func(t *testing.T, r *ruin, d *door) {
			for range r.records(t) {
				if err := d.DestroyWith(t.Context(), name, lifecycle.DestroyOptions{Quarantine: ptr(time.Hour)}, nil); err != nil {
					t.Errorf("destroying it again: %v", err)
				}
			}
			_, err := d.Add(t.Context(), domain(t, name), lifecycle.Change{}, nil)
			is(t, err, tenancy.ErrConflict, "a name in quarantine")
			if err := d.LiftQuarantine(t.Context(), name); err != nil {
				t.Error(err)
			}
			r.gone(t, d)
		},
	}.each(t)
}
