// Budgets, pauses and advice by themselves: arithmetic.

package certificates

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// TestRenewalsFirst: a renewal is not placed behind the first orders that wait, and has a
// part of the account's orders to itself; an order that has reached nobody is given back.
func TestRenewalsFirst(t *testing.T) {
	t.Parallel()
	b := newBudgets(Limits{Account: Limit{40, time.Hour}})
	made := 0
	var waits time.Time
	for i := range 1000 {
		again, which := b.take(fmt.Sprintf("n%d.example.com", i), kind{first: true}, start)
		if again.IsZero() {
			made++
		} else if which != "account" {
			t.Fatalf("waits for %q", which)
		} else if again.After(waits) {
			waits = again
		}
	}
	if made != 30 || waits.Before(start.Add(30*time.Hour)) {
		t.Errorf("%d first orders were made, and the last one waits until %s", made, waits)
	}
	for i := range 10 {
		if again, _ := b.take(fmt.Sprintf("r%d.example.com", i), kind{}, start); !again.IsZero() {
			t.Fatalf("renewal %d waits until %s", i, again)
		}
	}
	again, which := b.take("late.example.com", kind{}, start)
	if again.Before(start.Add(time.Hour)) || again.After(start.Add(time.Hour+renewalSpread)) || which != "account" {
		t.Errorf("a renewal waits for %q until %s", which, again)
	}
	b.giveBack("r0.example.com", kind{})
	if again, _ := b.take("late.example.com", kind{}, start); !again.IsZero() {
		t.Errorf("after one was given back a renewal waits until %s", again)
	}
	// Who has come a moment early keeps its place.
	place, _ := b.take("n999.example.com", kind{first: true}, start)
	if again, _ := b.take("n999.example.com", kind{first: true}, place.Add(-time.Minute)); again.After(place.Add(time.Hour)) {
		t.Errorf("it had the place %s, and has now %s", place, again)
	}
	if !unreached(fmt.Errorf("x: %w", &net.OpError{Op: "dial", Err: errors.New("refused")})) || unreached(&net.OpError{Op: "read", Err: errors.New("reset")}) {
		t.Error("what has reached nobody is told from what may have")
	}
}

// TestBudgetWindow moves with each order.
func TestBudgetWindow(t *testing.T) {
	t.Parallel()
	b := newBudget(Limit{3, time.Hour})
	now := start
	for _, at := range []time.Duration{-50 * time.Minute, -2 * time.Hour, -10 * time.Minute, time.Minute} { // in any order, too old, and by a clock that is ahead
		b.spend("a", now.Add(at), now)
	}
	if at := b.until("a", now); !at.Equal(now.Add(10 * time.Minute)) {
		t.Errorf("%s", at)
	}
	if !b.until("b", now).IsZero() || !b.until("a", now.Add(10*time.Minute)).IsZero() {
		t.Error("no room where there is some")
	}
	for i := range 4 { // each has a time of its own
		if at := b.place("a", now.Add(10*time.Minute), now); !at.Equal(now.Add(10*time.Minute + time.Duration(i)*20*time.Minute)) {
			t.Errorf("place %d: %s", i, at)
		}
	}
	b.hold("a", now.Add(5*time.Hour), now)
	if at := b.until("a", now); !at.Equal(now.Add(5 * time.Hour)) {
		t.Errorf("held until %s", at)
	}
	unlimited := newBudget(Limit{})
	for range 1000 {
		unlimited.spend("a", now, now)
	}
	if !unlimited.until("a", now).IsZero() || len(unlimited.keys) != 0 {
		t.Error("no limit is a limit")
	}
}

// TestBudgetBound: many keys are forgotten quickly, those that do not matter first.
func TestBudgetBound(t *testing.T) {
	t.Parallel()
	b := newBudget(Limit{1, time.Hour})
	b.spend("kept", start, start)
	for i := range maxBudgets - 1 {
		b.spend(fmt.Sprint(i), start.Add(-2*time.Hour), start.Add(-2*time.Hour))
	}
	b.spend("more", start, start)
	if len(b.keys) != 2 || b.until("kept", start).IsZero() {
		t.Errorf("%d keys", len(b.keys))
	}
	begun := time.Now()
	const more = maxBudgets + maxBudgets/5
	for i := range more {
		b.spend(fmt.Sprint(i), start, start)
	}
	if len(b.keys) > maxBudgets {
		t.Errorf("%d keys", len(b.keys))
	}
	t.Logf("%s for each of %d keys", time.Since(begun)/more, more)
}

// TestBudgetsKeepPlaces of names that ask again, as by the command of their owner.
func TestBudgetsKeepPlaces(t *testing.T) {
	t.Parallel()
	b := newBudgets(Limits{Account: Limit{1, time.Hour}, Domain: Limit{1, 2 * time.Hour}})
	if at, _ := b.take("a.one.example", kind{first: true}, start); !at.IsZero() {
		t.Fatal("no room")
	}
	first, _ := b.take("b.two.example", kind{first: true}, start)
	second, _ := b.take("c.three.example", kind{first: true}, start)
	again, which := b.take("b.two.example", kind{first: true}, start.Add(time.Minute))
	if !again.Equal(first) || which != "account" || !second.Equal(first.Add(time.Hour)) {
		t.Errorf("%s, %s and %s for want of the %s", first, second, again, which)
	}
	if at, which := b.take("d.one.example", kind{first: true}, start); !at.Equal(start.Add(2*time.Hour)) || which != "domain" {
		t.Errorf("%s for want of the %s", at, which)
	}
	if at, _ := b.take("b.two.example", kind{first: true}, first); !at.IsZero() {
		t.Errorf("in its place: %s", at)
	}
}

// TestClientKey: what counts as one client.
func TestClientKey(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := clientKey(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	_ = clientKey(netip.Addr{}) // of no client
}

// TestJudge: what a failure means for the name, its domain and the account.
func TestJudge(t *testing.T) {
	t.Parallel()
	limited := func(detail string) error {
		return fmt.Errorf("[a] Obtain: %w", acme.Problem{Type: acme.ProblemTypeRateLimited, Status: 429, Detail: detail})
	}
	refused := acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: 403}
	for _, test := range []struct {
		err   error
		tries int
		want  failure
	}{
		{refused, 0, failure{wait: time.Minute}},
		{refused, 1, failure{wait: 10 * time.Minute}},
		{refused, 2, failure{wait: 100 * time.Minute}},
		{refused, 50, failure{wait: 24 * time.Hour}},
		{acme.Problem{Type: acme.ProblemTypeServerInternal, Status: 500}, 0, failure{wait: 5 * time.Second}},
		{acme.Problem{Status: 503}, 50, failure{wait: 5 * time.Minute}},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, 3, failure{wait: 40 * time.Second}},
		{context.DeadlineExceeded, 50, failure{wait: 5 * time.Minute}},
		{fmt.Errorf("failed storage check: %v", fs.ErrPermission), 50, failure{wait: time.Hour}},
		{limited("retry after 2026-01-01 02:00:00 UTC"), 0, failure{wait: 2 * time.Hour, account: 2 * time.Hour}},
		{limited("retry after 2026-01-01T02:00:00Z"), 0, failure{wait: 2 * time.Hour, account: 2 * time.Hour}},
		{limited("retry after 2027-01-01 02:00:00 UTC"), 0, failure{wait: 7 * 24 * time.Hour, account: 7 * 24 * time.Hour}},
		{limited("retry after 2025-01-01 02:00:00 UTC"), 0, failure{wait: time.Minute, account: time.Minute}},
		{limited("retry after tomorrow"), 3, failure{wait: 24 * time.Hour, account: 10 * time.Minute}},
		{limited(`too many certificates (50) already issued for "example.com" in the last 168h0m0s, retry after 2026-01-02 00:00:00 UTC`), 0, failure{wait: 24 * time.Hour, domain: 24 * time.Hour}},
		{limited(`too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2026-01-02 00:00:00 UTC`), 0, failure{wait: 24 * time.Hour}},
		{limited(`too many failed authorizations (5) for "a.example.com" in the last 1h0m0s, retry after 2026-01-01 01:00:00 UTC`), 0, failure{wait: time.Hour}},
	} {
		if got := judge(test.err, test.tries, start); got != test.want {
			t.Errorf("%v after %d: %+v, and not %+v", test.err, test.tries, got, test.want)
		}
	}
}

// TestRenewAt is in the first half of what is left, for each name at its own time.
func TestRenewAt(t *testing.T) {
	t.Parallel()
	leaf := &x509.Certificate{NotBefore: start, NotAfter: start.Add(90 * 24 * time.Hour)}
	seen := map[time.Time]bool{}
	for i := range 1000 {
		name := fmt.Sprintf("n%d.example.com", i)
		at := renewAt(leaf, name, 0)
		if days := at.Sub(start).Hours() / 24; days < 59.9 || days > 75.1 || at != renewAt(leaf, name, 0) {
			t.Fatalf("after %f days", days)
		}
		seen[at.Truncate(time.Hour)] = true
		if at := renewAt(leaf, name, 0.1); at.Sub(start) < 80*24*time.Hour || !at.Before(leaf.NotAfter) {
			t.Fatalf("by a ratio of a tenth: %s", at)
		}
	}
	if len(seen) < 200 {
		t.Errorf("1000 names are renewed in %d hours", len(seen))
	}
}

// TestAdvised: advice is followed within reason.
func TestAdvised(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	end, otherwise := start.Add(90*day), start.Add(60*day)
	at := func(begin, end time.Duration) (info acme.RenewalInfo) {
		info.SuggestedWindow.Start, info.SuggestedWindow.End = start.Add(begin), start.Add(end)
		return info
	}
	chosen := at(50*day, 52*day)
	chosen.SelectedTime = start.Add(51 * day)
	for _, test := range []struct {
		info acme.RenewalInfo
		want time.Time
	}{
		{at(50*day, 52*day), start.Add(50 * day)},
		{chosen, start.Add(51 * day)},
		{at(80*day, 81*day), start.Add(80 * day)},
		{at(-2*day, -day), start.Add(6 * time.Hour)},
		{at(89*day, 90*day), end.Add(-90 * day / 20)},
		{at(91*day, 92*day), otherwise},
		{acme.RenewalInfo{}, otherwise},
	} {
		if got := advised(test.info, otherwise, start, end); !got.Equal(test.want) {
			t.Errorf("%+v: %s, and not %s", test.info.SuggestedWindow, got, test.want)
		}
	}
	for after, want := range map[time.Duration]time.Duration{0: day, -time.Hour: time.Minute, time.Second: time.Minute, time.Hour: time.Hour, 48 * time.Hour: day} {
		var info acme.RenewalInfo
		if after != 0 {
			retry := start.Add(after)
			info.RetryAfter = &retry
		}
		if got := askAgain(info, start).Sub(start); got != want {
			t.Errorf("retry after %s: %s", after, got)
		}
	}
}

// TestQualifies: which names can have a certificate.
func TestQualifies(t *testing.T) {
	t.Parallel()
	s := &Settings{Public: true, Wildcards: []string{"*.example.com", "*", "", "*."}}
	private := &Settings{}
	for name, want := range map[string][2]bool{ // by a public authority, and another
		"alice.example.org": {true, true}, "a.example.com": {false, true}, "b.a.example.com": {true, true}, "example.com": {true, true},
		"localhost": {false, false}, "192.0.2.1": {false, false}, "2001:db8::1": {false, false}, "alice.localhost": {false, true},
		"a.internal": {false, true}, "a.local": {false, true}, "1.home.arpa": {false, true}, "1.2.3.4a": {true, true}, "*.example.org": {false, false}, "a.example.org:8443": {false, false}, "": {false, false}, "a.": {false, false},
	} {
		if got := [2]bool{s.qualifies(name), private.qualifies(name)}; got != want {
			t.Errorf("%q: %v", name, got)
		}
		if want[0] && !certmagic.SubjectQualifiesForPublicCert(name) || want[1] && !certmagic.SubjectQualifiesForCert(name) {
			t.Errorf("%q: certmagic would not order it", name)
		}
	}
}

// TestRemovalLimit: what an operator has set holds, however many certificates there are;
// by default a hundredth of them may go.
func TestRemovalLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		limits Limits
		want   int
	}{
		{Limits{Removal: Limit{1, 24 * time.Hour}}, 1},
		{Limits{Removal: Limit{100, time.Hour}, RemovalPart: 100}, 1000},
		{Limits{Removal: Limit{100, time.Hour}, RemovalPart: 10_000}, 100},
		{Limits{}, 2000},
	} {
		b := newBudgets(test.limits)
		b.certificates(100_000)
		n := 0
		for range 2000 {
			if b.remove(start).IsZero() {
				n++
			}
		}
		if n != test.want {
			t.Errorf("%+v: %d", test.limits, n)
		}
		if room, _ := b.removals(start); test.want < 2000 && room != 0 {
			t.Errorf("%+v: room for %d", test.limits, room)
		}
		b.unremove()
		if !b.remove(start).IsZero() {
			t.Errorf("%+v: one that was taken back counts", test.limits)
		}
	}
}

// TestTermGoesOn with settings of the same storage and issuers alone.
func TestTermGoesOn(t *testing.T) {
	t.Parallel()
	w := &leading{budgets: newBudgets(Limits{}), soon: make(chan struct{}, 1)}
	here := &certmagic.FileStorage{Path: "here"}
	w.began = &Settings{Storage: here}
	w.in.Store(&magic{settings: w.began})
	for _, other := range []*Settings{{Storage: here, Parallel: 5}, {Storage: &certmagic.FileStorage{Path: "there"}}} {
		w.take(&magic{settings: other})
		if w.settings() != w.began {
			t.Errorf("it goes on with %+v", other)
		}
	}
	same := &Settings{Storage: &certmagic.FileStorage{Path: "here"}, Revoke: true}
	if w.take(&magic{settings: same}); w.settings() != same {
		t.Error("it does not go on")
	}
}
