// Regressions, continued: records that cannot be read, and what comes late.

package lifecycle_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// TestMalformed: of a record in which the databases' names or cluster cannot be read, what
// concerns them is refused, and nothing touched: by guess it would be done to others.
func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, field := range []string{`"prefix":12`, `"couch_cluster":"1","prefix":"alice-example-com"`} {
		f := embeddedFleet(t)
		d := f.door(t)
		f.stackMade(t, d, "0123", `{"domain":"alice.example.com",`+field+`,"locale":"en","session_secret":"AAAA"}`)
		for _, doctype := range []string{"io.cozy.settings", "io.cozy.sessions.logins"} {
			if _, err := f.store.CreateDB(t.Context(), provision.DatabaseName("alice.example.com", doctype)); err != nil {
				t.Fatal(err)
			}
		}
		before, ctx := f.everything(t), t.Context()
		for what, verb := range map[string]func() error{
			"destroy": func() error { return d.Destroy(ctx, "alice.example.com", nil) },
			"settings": func() error {
				_, err := d.Modify(ctx, "alice.example.com", lifecycle.Change{Email: ptr("a@b.c"), Locale: ptr("fr")})
				return err
			},
			"preview": func() error {
				_, _, err := d.Preview(ctx, "alice.example.com", lifecycle.Change{Email: ptr("a@b.c")})
				return err
			},
			"passphrase": func() error { _, err := d.SetPassphrase(ctx, "alice.example.com", *cheap("eA==")); return err },
			"sessions":   func() error { return d.CleanSessions(ctx, "alice.example.com") },
			"activity":   func() error { _, err := d.LastActivity(ctx, "alice.example.com"); return err },
		} {
			is(t, verb(), tenancy.ErrConflict, what+" with "+field)
			if after := f.everything(t); !reflect.DeepEqual(before, after) {
				t.Fatalf("%s with %s: the store was changed: %s", what, field, after)
			}
		}
		if _, err := d.Modify(ctx, "alice.example.com", lifecycle.Change{Locale: ptr("fr")}); err != nil {
			t.Errorf("what the record alone says: %v", err)
		}
	}
}

// TestAddLandsLate: the last write of an add, which got no answer, may still come. Until
// the lease ends nobody takes the rest away; then it is whole, or taken back.
func TestAddLandsLate(t *testing.T) {
	t.Parallel()
	eachLine(t, func(t *testing.T, f *fleet) {
		for _, lands := range []bool{true, false} {
			d, other := f.door(t), f.door(t)
			d.line.fails(func(_ int, r *http.Request) verdict {
				if r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/global/instances/") {
					return late
				}
				return pass
			})
			_, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, nil)
			is(t, err, tenancy.ErrUnavailable, "an add without an answer")
			if n := len(f.databases(t)); n != len(provision.Doctypes) || len(f.claims(t)) != 1 {
				t.Errorf("%d databases and %d claims are left", n, len(f.claims(t)))
			}
			_, err = other.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{}, nil)
			is(t, err, tenancy.ErrConflict, "an add before the end of the lease")
			if lands && d.line.land() != 1 {
				t.Fatal("nothing was late")
			}
			f.clock.advance(expiry)
			o := lifecycle.RepairOptions{Domain: "alice.example.com"} // all is slow on a server
			if got := kinds(f.findings(t, other, o)); !slices.Equal(got, []string{lifecycle.FoundOperation}) {
				t.Errorf("a repair finds %q", got)
			}
			if lands {
				f.whole(t, "alice.example.com")
				if err := other.Destroy(t.Context(), "alice.example.com", nil); err != nil {
					t.Fatal(err)
				}
			}
			f.whole(t)
		}
	})
}

// TestFreedWithOthers: databases that a stack has made do not stand for those that a
// deletion dropped.
func TestFreedWithOthers(t *testing.T) {
	t.Parallel()
	f := faultyFleet(t)
	d, other := f.door(t), f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	d.failDrops(2)
	is(t, d.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrUnavailable, "a destroy whose store fails")
	for _, name := range []string{"notes", "accounts", "bills"} {
		if _, err := f.store.CreateDB(t.Context(), inst.Prefix()+"/io-cozy-"+name); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.databases(t)); n <= len(provision.Doctypes) {
		t.Fatalf("there are %d databases", n)
	}
	freed, err := other.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(false)})
	if err != nil || freed.State() != tenancy.Blocked || freed.BlockingReason() != tenancy.ReasonDeletionFailed {
		t.Errorf("freed: %v (%v)", freed, err)
	}
}

// TestDeletingIfRev: the flag, too, is set and taken off only where the document is the
// one that was meant.
func TestDeletingIfRev(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	stale := inst.Rev()
	for _, on := range []bool{true, false} {
		f.write(t, inst.ID(), "uuid", fmt.Sprint(on))
		_, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: &on, IfRev: stale})
		is(t, err, tenancy.ErrConflict, "a revision that is not there any more")
		now := f.records(t)[inst.ID()]
		if now.Bool("deleting") == on {
			t.Fatalf("deleting is %t", on)
		}
		changed, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: &on, IfRev: now.Rev()})
		if err != nil || changed.Bool("deleting") != on {
			t.Fatalf("with the present one: %v (%v)", changed, err)
		}
	}
}

// TestDestroyMeetsRename: names that an instance gets after its destroy has begun go with
// it, into quarantine too; after the flag it gets none.
func TestDestroyMeetsRename(t *testing.T) {
	t.Parallel()
	eachLine(t, func(t *testing.T, f *fleet) {
		d, other := f.door(t), f.door(t)
		rename := func(door *door) error {
			_, err := door.Modify(t.Context(), "alice.example.com", lifecycle.Change{Aliases: &[]string{"new.example.com"}})
			return err
		}
		destroy := func(door *door) error {
			return door.DestroyWith(t.Context(), "alice.example.com", lifecycle.DestroyOptions{Quarantine: ptr(expiry)}, nil)
		}
		for _, dies := range []bool{false, true} {
			inst := d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"old.example.com"}})
			var met sync.Once
			dead := false
			d.line.fails(func(_ int, r *http.Request) verdict {
				switch {
				case dead:
					return lose
				case r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/global/instances/"):
					met.Do(func() {
						if err := rename(other); err != nil {
							t.Error(err)
						}
					})
				case dies && r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, "/global/instances/"):
					dead = true // when that is done
				}
				return pass
			})
			err := destroy(d)
			if dies {
				if err == nil || f.records(t)[inst.ID()] != nil {
					t.Errorf("the destroy did not die after the record: %v", err)
				}
				f.clock.advance(2 * expiry) // of the quarantine as well
				f.repaired(t, other, "")
			} else if err != nil {
				t.Error(err)
			} else if got := f.quarantined(t); !slices.Equal(got, []string{"alice.example.com", "new.example.com", "old.example.com"}) {
				t.Errorf("in quarantine is %q", got)
			}
			f.whole(t)
			d.line.fails(nil)
			f.clock.advance(expiry)
		}
		d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"old.example.com"}})
		d.before(http.MethodPut, "/global/instances/", func() {
			if err := destroy(other); err != nil {
				t.Error(err)
			}
		})
		if err := rename(d); !errors.Is(err, tenancy.ErrConflict) && !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("a change of names of what is being destroyed: %v", err)
		}
		f.whole(t)
	})
}
