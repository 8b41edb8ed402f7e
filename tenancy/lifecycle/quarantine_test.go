// Quarantine: names of destroyed instances are kept from others for a time.

package lifecycle_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// kept are the names in quarantine, as they are listed.
func (d *door) kept(t testing.TB) []lifecycle.Quarantine {
	t.Helper()
	var out []lifecycle.Quarantine
	err := d.Quarantines(t.Context(), func(q lifecycle.Quarantine) error {
		out = append(out, q)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestQuarantine: domain and aliases are kept until its end, which whoever wants one of
// them meets in passing.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d, other := f.door(t), f.door(t)
		bob := d.add(t, "bob.example.com", lifecycle.Change{})
		inst := d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"Émile.example.com"}})
		end := f.clock.now().Add(time.Hour).Truncate(time.Second)
		if err := d.DestroyWith(t.Context(), "alice.example.com", lifecycle.DestroyOptions{Quarantine: ptr(time.Hour)}, nil); err != nil {
			t.Fatal(err)
		}
		names := []string{"alice.example.com", "xn--mile-9oa.example.com"}
		for i, q := range d.kept(t) {
			if q.Key != names[i] || q.Domain != "alice.example.com" || q.Instance != inst.ID() || !q.Until.Equal(end) {
				t.Errorf("quarantine %d is %+v", i, q)
			}
			if !d.dir.quarantined[q.Key].Equal(end) {
				t.Errorf("the directory has %s until %v", q.Key, d.dir.quarantined[q.Key])
			}
		}
		refusals := func() {
			t.Helper()
			for _, name := range []string{"alice.example.com", "émile.example.com"} {
				for _, door := range []*door{d, other} {
					_, err := door.Add(t.Context(), domain(t, name), lifecycle.Change{}, nil)
					is(t, err, tenancy.ErrConflict, "an add of "+name)
					if !strings.Contains(err.Error(), "2026-11-24T08:23:15Z") {
						t.Errorf("it does not say until when: %v", err)
					}
					_, err = door.Add(t.Context(), domain(t, "carol.example.com"), lifecycle.Change{Aliases: &[]string{name}}, nil)
					is(t, err, tenancy.ErrConflict, "an add with the alias "+name)
					_, err = door.Modify(t.Context(), "bob.example.com", lifecycle.Change{Aliases: &[]string{name}, Locale: ptr("fr")})
					is(t, err, tenancy.ErrConflict, "a change of names to "+name)
				}
			}
			f.whole(t, "bob.example.com")
			if got := f.records(t)[bob.ID()]; got.Locale() != "en" || len(f.quarantined(t)) != 2 || len(f.journal(t)) != 0 {
				t.Errorf("refused changes changed %v; quarantines %q, journal %q", got.Attributes(), f.quarantined(t), f.journal(t))
			}
		}
		refusals()
		f.clock.advance(end.Sub(f.clock.now()) - 1)
		refusals()
		f.clock.advance(1)
		if got := d.kept(t); len(got) != 0 {
			t.Errorf("at its end there is %+v", got)
		}
		other.add(t, "alice.example.com", lifecycle.Change{})
		if got := f.quarantined(t); !slices.Equal(got, names[1:]) {
			t.Errorf("left are %q", got)
		}
		if _, err := d.Modify(t.Context(), "bob.example.com", lifecycle.Change{Aliases: &[]string{"émile.example.com"}}); err != nil {
			t.Fatal(err)
		}
		if got := f.quarantined(t); len(got) != 0 || !other.dir.quarantined["alice.example.com"].IsZero() {
			t.Errorf("left are %q", got)
		}
		f.whole(t, "alice.example.com", "bob.example.com")
	})
}

// TestQuarantineLift: lifting one name lifts all of its instance, and no other.
func TestQuarantineLift(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		for _, name := range []string{"alice", "bob"} {
			d.add(t, name+".example.com", lifecycle.Change{Aliases: &[]string{name + ".example.org"}})
			if err := d.DestroyWith(t.Context(), name+".example.com", lifecycle.DestroyOptions{Quarantine: ptr(time.Hour)}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.LiftQuarantine(t.Context(), "ALICE.example.org"); err != nil {
			t.Fatal(err)
		}
		if got := f.quarantined(t); !slices.Equal(got, []string{"bob.example.com", "bob.example.org"}) {
			t.Errorf("left are %q", got)
		}
		for _, name := range []string{"alice.example.com", "nobody.example.com", "a b"} {
			is(t, d.LiftQuarantine(t.Context(), name), tenancy.ErrNotFound, "lifting "+name)
		}
		d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"alice.example.org"}})
		f.whole(t, "alice.example.com")
	})
}

// TestQuarantineDefault: the configuration's word, unless the destroy has one of its own.
func TestQuarantineDefault(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	d.Use(lifecycle.Settings{Quarantine: 24 * time.Hour})
	destroy := func(o lifecycle.DestroyOptions) error {
		d.add(t, "alice.example.com", lifecycle.Change{})
		return d.DestroyWith(t.Context(), "alice.example.com", o, nil)
	}
	if err := destroy(lifecycle.DestroyOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := d.kept(t); len(got) != 1 || !got[0].Until.Equal(f.clock.now().Add(24*time.Hour).Truncate(time.Second)) {
		t.Errorf("in quarantine is %+v", got)
	}
	f.clock.advance(24 * time.Hour)
	if err := destroy(lifecycle.DestroyOptions{Quarantine: ptr(time.Duration(0))}); err != nil {
		t.Fatal(err)
	}
	if got := f.quarantined(t); len(got) != 0 {
		t.Errorf("in quarantine is %q", got)
	}
	for _, bad := range []time.Duration{-1, 11 * 366 * 24 * time.Hour} {
		err := destroy(lifecycle.DestroyOptions{Quarantine: &bad})
		if field, ok := errorsAs[*tenancy.FieldError](err); !ok || field.Field != "Quarantine" {
			t.Errorf("%s: %v", bad, err)
		}
		f.whole(t, "alice.example.com")
		if state := f.named(t, "alice.example.com")["alice.example.com"].State(); state != tenancy.Active {
			t.Errorf("a refused destroy leaves it %s", state)
		}
		if err := d.DestroyWith(t.Context(), "alice.example.com", lifecycle.DestroyOptions{Quarantine: ptr(time.Duration(0))}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestQuarantineNoGap: an add that comes at any moment of a destroy, or that began then and
// goes on after it, does not slip between the instance and its quarantine.
func TestQuarantineNoGap(t *testing.T) {
	t.Parallel()
	f := faultyFleet(t)
	d, plain := f.single(t), f.door(t) // one step after the other, since each waits for adds
	plain.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"al.example.com"}})
	var paused []chan struct{}
	var slow sync.WaitGroup
	tries := 0
	try := func(door *door) {
		_, err := door.Add(t.Context(), domain(t, "al.example.com"), lifecycle.Change{}, nil)
		if !refused(err) {
			t.Errorf("an add: %v", err)
		}
	}
	d.line.fails(func(int, *http.Request) verdict {
		tries++
		try(plain)
		// One that stops before its claims, as long as the destroy lasts.
		waits, ended, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
		door := f.door(t)
		door.before(http.MethodPost, "/gatehouse/claims/_bulk_docs", func() {
			close(waits)
			<-goOn
		})
		slow.Go(func() {
			defer close(ended)
			try(door)
		})
		select {
		case <-waits:
			paused = append(paused, goOn)
		case <-ended:
			close(goOn)
		}
		return pass
	})
	if err := d.DestroyWith(t.Context(), "alice.example.com", lifecycle.DestroyOptions{Quarantine: ptr(time.Hour)}, nil); err != nil {
		t.Error(err)
	}
	for _, goOn := range paused {
		close(goOn)
	}
	slow.Wait()
	t.Logf("%d adds came in between, and %d were half way", tries, len(paused))
	if tries < 20 || len(paused) < 3 {
		t.Error("that is too few")
	}
	f.whole(t)
	if got := f.quarantined(t); len(got) != 2 {
		t.Errorf("in quarantine are %q", got)
	}
}
