// Preview and IfRev: what a modify would do is what it then does, and it is done only to
// the document that was meant.

package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// some gives one of the values, or nil.
func some[T any](r *rand.Rand, values ...T) *T {
	if n := r.IntN(2 * len(values)); n < len(values) {
		return &values[n]
	}
	return nil
}

// anyChange is a change of some fields, of which some are bad.
func anyChange(r *rand.Rand) lifecycle.Change {
	c := lifecycle.Change{
		OldDomain: some(r, "", "old.example.com"), OrgDomain: some(r, "", "org.example.com"), Locale: some(r, "fr", "en", "pt-BR"),
		UUID: some(r, "", "u1", "u2"), ContextName: some(r, "", "beta"), TOSSigned: some(r, "", "20240131"), Timezone: some(r, "", "Europe/Paris", "UTC"),
		Email: some(r, "", "a@b.c", "b@b.c"), PublicName: some(r, "", "Alice"), Phone: some(r, "", "+33"), AuthMode: some(r, "basic", "two_factor_mail"),
		AutoUpdate: some(r, true, false), MagicLink: some(r, true, false), DiskQuota: some(r, int64(0), 1, 1<<40), Blocked: some(r, true, false),
		BlockingReason: some(r, "", "PAYMENT_FAILED", "own reason"), OnboardingFinished: some(r, true, false),
		Sponsorships: some(r, nil, []string{"a"}, []string{"b", "a"}), Aliases: some(r, nil, []string{"al.example.com"}, []string{"al.example.com", "a.example.com"}),
	}
	switch r.IntN(6) {
	case 0:
		c.Settings = map[string]string{"offer": "free", "api_token": "t", "uuid": "u3", "email": ""}
	case 1:
		c.Settings = map[string]string{"offer": "", "context": "alpha"}
	case 2:
		c = lifecycle.Change{Deleting: some(r, true, false)}
	case 3:
		c.Locale, c.Email = some(r, "!"), some(r, "alice")
	}
	return c
}

// TestPreview: of random changes the preview is what the modify does, changes nothing
// itself, and the audit says the same; where one of them fails the other does.
func TestPreview(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	look := func() any { return f.holding(t, provision.DatabaseName(inst.Prefix(), "io.cozy.settings")) }
	seed := uint64(20261124)
	r := rand.New(rand.NewPCG(seed, 0))
	made, failed, without := 0, 0, 0
	for round := range 50 {
		change := anyChange(r)
		what := fmt.Sprintf("seed %d, round %d", seed, round)
		before, entries := look(), f.audit(t)
		seen, diff, err := d.Preview(t.Context(), "alice.example.com", change)
		if after := look(); !reflect.DeepEqual(before, after) {
			t.Fatalf("%s: the preview changed the store", what)
		}
		changed, e := d.Modify(t.Context(), "alice.example.com", change)
		if (err == nil) != (e == nil) || err != nil && err.Error() != e.Error() {
			t.Fatalf("%s: the preview said %v, the modify %v", what, err, e)
		}
		if err != nil {
			if failed++; !reflect.DeepEqual(before, look()) {
				t.Fatalf("%s: a refused change changed the store", what)
			}
			continue
		}
		if !reflect.DeepEqual(seen.Attributes(), changed.Attributes()) || !reflect.DeepEqual(changed.Attributes(), f.records(t)[inst.ID()].Attributes()) {
			t.Fatalf("%s: the preview was\n%s, the record is\n%s", what, seen.Attributes(), changed.Attributes())
		}
		var told []lifecycle.Difference
		for id, entry := range f.audit(t) {
			if _, old := entries[id]; !old {
				told = entry.Differences
			}
		}
		if a, b := asJSON(t, diff), asJSON(t, told); a != b && (len(diff) > 0 || len(told) > 0) {
			t.Fatalf("%s: the preview told of\n%s, the audit of\n%s", what, a, b)
		}
		if made++; len(diff) == 0 {
			if without++; !reflect.DeepEqual(before, look()) {
				t.Fatalf("%s: a change of nothing changed the store", what)
			}
		}
		f.clock.advance(1)
	}
	t.Logf("%d changes, %d refused, %d without a difference", made, failed, without)
	if made < 30 || failed < 4 || without < 3 {
		t.Error("that is too one-sided")
	}
	f.named(t, "alice.example.com")
	f.finds(t, d)
}

// asJSON is a value as it is told.
func asJSON(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestModifyNothing: a change that makes no difference writes neither record nor audit.
func TestModifyNothing(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		full := lifecycle.Change{
			Locale: ptr("fr"), Email: ptr("a@b.c"), Aliases: &[]string{"al.example.com"}, DiskQuota: ptr(int64(5)),
			Settings: map[string]string{"offer": "free"}, Sponsorships: &[]string{"a"},
		}
		d.add(t, "alice.example.com", full)
		before := f.everything(t)
		for _, change := range []lifecycle.Change{{}, full, {Blocked: ptr(false), BlockingReason: ptr("")}, {Phone: ptr("")}} {
			if _, err := d.Modify(t.Context(), "alice.example.com", change); err != nil {
				t.Fatal(err)
			}
			if after := f.everything(t); !reflect.DeepEqual(before, after) {
				t.Errorf("%+v changed the store", change)
			}
		}
	})
}

// TestIfRev: a change of a document that is another by now is refused, of every kind of
// field, and leaves it alone.
func TestIfRev(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		stale := inst.Rev()
		if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Locale: ptr("fr"), IfRev: stale}); err != nil {
			t.Fatal(err)
		}
		before := f.everything(t)
		for _, change := range []lifecycle.Change{{Locale: ptr("de")}, {Aliases: &[]string{"al.example.com"}}, {Email: ptr("a@b.c")}, {Blocked: ptr(true)}, {}} {
			for _, rev := range []string{stale, "7-0", "x"} {
				change.IfRev = rev
				_, err := d.Modify(t.Context(), "alice.example.com", change)
				is(t, err, tenancy.ErrConflict, "a change of another revision")
				_, _, err = d.Preview(t.Context(), "alice.example.com", change)
				is(t, err, tenancy.ErrConflict, "a preview of another revision")
			}
		}
		if after := f.everything(t); !reflect.DeepEqual(before, after) {
			t.Errorf("refused changes changed the store")
		}
		change := lifecycle.Change{Aliases: &[]string{"al.example.com"}, Email: ptr("a@b.c"), IfRev: f.records(t)[inst.ID()].Rev()}
		if _, err := d.Modify(t.Context(), "alice.example.com", change); err != nil {
			t.Errorf("the present revision: %v", err)
		}
		_, err := d.Add(t.Context(), domain(t, "bob.example.com"), lifecycle.Change{IfRev: "1-0"}, nil)
		if field, ok := errorsAs[*tenancy.FieldError](err); !ok || field.Field != "IfRev" {
			t.Errorf("an add with a revision: %v", err)
		}
	})
}

// TestIfRevMeetsWriter: a writer between the look and the write is noticed as well.
func TestIfRevMeetsWriter(t *testing.T) {
	t.Parallel()
	eachLine(t, func(t *testing.T, f *fleet) {
		for i, change := range []lifecycle.Change{{Locale: ptr("fr")}, {Aliases: &[]string{"al.example.com"}}, {Deleting: ptr(true)}} {
			d := f.door(t)
			inst := d.add(t, fmt.Sprintf("alice-%d.example.com", i), lifecycle.Change{})
			d.before("PUT", "/global/instances/", func() { f.meddle(t, inst.ID(), "uuid", "met") })
			change.IfRev = inst.Rev()
			_, err := d.Modify(t.Context(), inst.Domain(), change)
			is(t, err, tenancy.ErrConflict, "a change that meets another")
			if now := f.records(t)[inst.ID()]; now.Text("uuid") != "met" || now.Locale() != "en" || now.Has("deleting") || len(now.Aliases()) != 0 {
				t.Errorf("the record is %v", now.Attributes())
			}
		}
		f.finds(t, f.door(t))
	})
}
