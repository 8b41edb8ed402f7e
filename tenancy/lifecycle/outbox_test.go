// Outbox: events reach their receivers, in the order of an instance, in spite of
// receivers and front doors that are away.

package lifecycle_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// pauses are those of a front door, as it asked for them. While held they last until the
// front door ends.
type pauses struct {
	mu   sync.Mutex
	all  []time.Duration
	held bool
}

func (p *pauses) sleep(ctx context.Context, d time.Duration) bool {
	p.mu.Lock()
	p.all = append(p.all, d)
	held := p.held
	p.mu.Unlock()
	if held {
		<-ctx.Done()
	}
	return ctx.Err() == nil
}

// pausing opens a front door with those pauses.
func (o *outside) pausing(t testing.TB, f *fleet, p *pauses) *door {
	t.Helper()
	options, d := f.options(t)
	options.Sleep = p.sleep
	d.Service = lifecycle.New(options)
	d.Use(o.settings(d.line))
	return d
}

// TestOutboxOrder: the events of an instance are told in their order, also where the
// receiver was slow with the first.
func TestOutboxOrder(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		out := newOutside(lifecycle.AfterAdd, lifecycle.AfterBlock, lifecycle.SendLink)
		d := out.door(t, f)
		goOn := make(chan struct{})
		out.replies(func(e lifecycle.Event) error {
			if e.Domain == "alice.example.com" {
				<-goOn
			}
			return nil
		})
		change := lifecycle.Change{Email: ptr("a@b.c"), PublicName: ptr("Alice"), ContextName: ptr("beta"), Locale: ptr("fr"), SendLink: true}
		inst := d.add(t, "alice.example.com", change)
		d.add(t, "bob.example.com", lifecycle.Change{})
		out.until(t, "another instance's event", func() bool { return len(out.told("")) == 1 })
		for i, reason := range []string{"LOGIN_FAILED", "PAYMENT_FAILED"} {
			f.clock.advance(time.Second)
			for _, blocked := range []bool{true, false} {
				if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Blocked: &blocked, BlockingReason: ptr(reason)}); err != nil {
					t.Fatalf("%d: %v", i, err)
				}
			}
		}
		f.clock.advance(time.Second)
		resent, err := d.ResendLink(t.Context(), "alice.example.com", true)
		if err != nil {
			t.Fatal(err)
		}
		close(goOn)
		out.until(t, "all events", func() bool { return len(out.told("")) == 6 })
		var order []string
		ids := map[string]bool{}
		for _, e := range out.told("") {
			if e.Instance != inst.ID() {
				continue
			}
			order = append(order, strings.TrimSpace(e.Kind+" "+e.Reason))
			ids[e.ID] = true
			if e.Domain != "alice.example.com" || e.Prefix != inst.Prefix() || e.Context != "beta" || e.Locale != "fr" {
				t.Errorf("told: %+v", e)
			}
			if link := e.Link; (e.Kind == lifecycle.SendLink) != (link == lifecycle.Link(resent)) || link == "" && e.Email != "" {
				t.Errorf("told with a link: %+v", e)
			}
			if e.Kind == lifecycle.SendLink && (e.Email != "a@b.c" || e.Name != "Alice") {
				t.Errorf("the owner is not told of: %+v", e)
			}
		}
		want := []string{"after_add", "send_link", "after_block LOGIN_FAILED", "after_block PAYMENT_FAILED", "send_link"}
		if !slices.Equal(order, want) || len(ids) != len(want) {
			t.Errorf("told in the order %q", order)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if left := f.journal(t); len(left) != 0 {
			t.Errorf("left in the journal: %q", left)
		}
	})
}

// TestOutboxRetries: a receiver that is away is told again, after pauses that double.
func TestOutboxRetries(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	out, p := newOutside(lifecycle.AfterAdd), new(pauses)
	d := out.pausing(t, f, p)
	tries := 0
	out.replies(func(lifecycle.Event) error {
		if tries++; tries <= 4 {
			return errAway
		}
		return nil
	})
	d.add(t, "alice.example.com", lifecycle.Change{})
	out.until(t, "the event", func() bool { return len(out.told("")) == 1 })
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if want := []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute}; !slices.Equal(p.all, want) {
		t.Errorf("the pauses were %v", p.all)
	}
	if left := f.journal(t); len(left) != 0 {
		t.Errorf("left in the journal: %q", left)
	}
}

// TestOutboxGivesUp: an event that nobody took stays in the journal as failed, which a
// round of tending leaves alone, and a repair delivers. So is one that was refused, at once.
func TestOutboxGivesUp(t *testing.T) {
	t.Parallel()
	for _, answer := range []func(lifecycle.Event) error{func(lifecycle.Event) error { return errAway }, refuse} {
		f := embeddedFleet(t)
		out, p := newOutside(lifecycle.AfterAdd), new(pauses)
		d := out.pausing(t, f, p)
		var mu sync.Mutex
		tries := 0
		out.replies(func(e lifecycle.Event) error {
			mu.Lock()
			defer mu.Unlock()
			tries++
			return answer(e)
		})
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		failed := func() bool {
			for _, op := range f.operations(t) {
				if op.Verb == "hook" && op.State == "failed" {
					return true
				}
			}
			return false
		}
		out.until(t, "its end", failed)
		if want := map[bool]int{true: 1, false: 8}[answer(lifecycle.Event{}) != errAway]; tries != want || len(p.all) != want-1 {
			t.Errorf("there were %d tries and %d pauses, want %d tries", tries, len(p.all), want)
		}
		f.clock.advance(past)
		heir := out.door(t, f)
		out.replies(nil)
		heir.TendOnce(t.Context())
		if told := out.told(""); len(told) != 0 || !failed() {
			t.Errorf("tending told %+v", told)
		}
		f.mends(t, heir, lifecycle.FoundOperation)
		if told := out.told(""); len(told) != 1 || told[0].Instance != inst.ID() {
			t.Errorf("told: %+v", told)
		}
	}
}

// TestOutboxOutlivesDoor: events of a front door that ends while a receiver is away are
// delivered by another one, in their order, when their lease has ended.
func TestOutboxOutlivesDoor(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		out, p := newOutside(lifecycle.AfterAdd, lifecycle.AfterBlock), &pauses{held: true}
		d, heir := out.pausing(t, f, p), out.door(t, f)
		out.replies(func(lifecycle.Event) error { return errAway })
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		for i := range 3 {
			f.clock.advance(time.Second)
			for _, blocked := range []bool{true, false} {
				if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Blocked: &blocked, BlockingReason: ptr(fmt.Sprint("R", i))}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if left := f.journal(t); len(left) != 4 {
			t.Errorf("in the journal is %q", left)
		}
		out.replies(nil)
		heir.TendOnce(t.Context())
		if told := out.told(""); len(told) != 0 {
			t.Errorf("told before the lease has ended: %+v", told)
		}
		f.clock.advance(past)
		heir.TendOnce(t.Context())
		heir.TendOnce(t.Context()) // what it has is not taken twice
		out.until(t, "all events", func() bool { return len(out.told("")) == 4 })
		if err := heir.Close(t.Context()); err != nil {
			t.Error(err)
		}
		var reasons []string
		for _, e := range out.told("") {
			reasons = append(reasons, e.Reason)
			if e.Instance != inst.ID() {
				t.Errorf("told: %+v", e)
			}
		}
		if !slices.Equal(reasons, []string{"", "R0", "R1", "R2"}) || len(f.journal(t)) != 0 {
			t.Errorf("told of %q, and in the journal is %q", reasons, f.journal(t))
		}
	})
}

// TestLinkNotInJournal: the journal says that a link is to be sent, and never which.
func TestLinkNotInJournal(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	out, p := newOutside(lifecycle.SendLink), &pauses{held: true}
	d := out.pausing(t, f, p)
	out.replies(func(lifecycle.Event) error { return errAway })
	inst := d.add(t, "alice.example.com", lifecycle.Change{SendLink: true, Email: ptr("a@b.c")})
	old := inst.Bytes("register_token")
	inst, err := d.ResendLink(t.Context(), "alice.example.com", true)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.journal(t)) != 2 {
		t.Errorf("in the journal is %q", f.journal(t))
	}
	for _, db := range []string{provision.OperationsDB, provision.AuditDB, provision.ClaimsDB} {
		for id, raw := range f.docs(t, db) {
			for _, token := range [][]byte{old, inst.Bytes("register_token")} {
				for _, text := range []string{hex.EncodeToString(token), base64.StdEncoding.EncodeToString(token), "a@b.c"} {
					if strings.Contains(string(raw), text) {
						t.Errorf("%s of %s holds a secret: %s", id, db, raw)
					}
				}
			}
		}
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	// Sent late, it is the link that is good by then.
	f.clock.advance(past)
	out.replies(nil)
	heir := out.door(t, f)
	heir.TendOnce(t.Context())
	out.until(t, "the links", func() bool { return len(out.told("")) == 2 })
	for _, e := range out.told("") {
		if e.Link != lifecycle.Link(inst) {
			t.Errorf("the link is %s", e.Link)
		}
	}
	if err := heir.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
