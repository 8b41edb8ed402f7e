// App hosts: which are looked up, how often, and how many at a time.

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// shelf is what look-ups find. It counts them, and holds them up until it is let go.
type shelf struct {
	mu        sync.Mutex
	apps      map[string]bool
	err       error
	looks     map[string]int
	now, most int
	hold      chan struct{} // nil for no wait
}

func (s *shelf) look(ctx context.Context, instance, slug string) (bool, error) {
	s.mu.Lock()
	key := instance + "/" + slug
	s.looks[key]++
	s.now++
	s.most = max(s.most, s.now)
	hold := s.hold
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apps[key], s.err
}

func newShelf(apps ...string) *shelf {
	s := &shelf{apps: map[string]bool{}, looks: map[string]int{}}
	for _, app := range apps {
		s.apps[app] = true
	}
	return s
}

func (s *shelf) count(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks[key]
}

func TestAppHosts(t *testing.T) {
	s := newShelf("alice/drive", "alice/my-app2")
	a := newAppHosts(s.look, time.Now)
	list := []string{"home", "Odd_One"}
	for _, c := range []struct {
		instance, slug string
		want           error
		looks          int
	}{
		{"alice", "home", nil, 0}, {"bob", "home", nil, 0}, {"alice", "Odd_One", nil, 0},
		{"alice", "drive", nil, 1}, {"alice", "my-app2", nil, 1}, {"alice", "photos", errNotInstalled, 1}, {"bob", "drive", errNotInstalled, 1},
		// what no app can be called
		{"alice", "", errNotInstalled, 0}, {"alice", "Drive", errNotInstalled, 0}, {"alice", "a_b", errNotInstalled, 0},
		{"alice", "-x", errNotInstalled, 0}, {"alice", "x-", errNotInstalled, 0}, {"alice", "*", errNotInstalled, 0}, {"alice", "../x", errNotInstalled, 0},
		{"alice", string(make([]byte, 64)), errNotInstalled, 0},
	} {
		for range 3 { // from memory after the first time
			if err := a.allowed(t.Context(), list, c.instance, c.slug); !errors.Is(err, c.want) {
				t.Errorf("%q of %s: %v, want %v", c.slug, c.instance, err, c.want)
			}
		}
		if n := s.count(c.instance + "/" + c.slug); n != c.looks {
			t.Errorf("%q of %s was looked up %d times, want %d", c.slug, c.instance, n, c.looks)
		}
	}
	if !errors.Is(errNotInstalled, caddytls.ErrPermissionDenied) || errors.Is(errNotInstalled, tenancy.ErrUnavailable) || !errors.Is(errAppsBusy, tenancy.ErrUnavailable) {
		t.Error("a denial is not what Caddy, or we, take it for")
	}
}

// TestAppHostsForget: how long each answer is remembered.
func TestAppHostsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf("alice/drive")
		a := newAppHosts(s.look, time.Now)
		down := errors.New("down")
		ask := func(slug string) error { return a.allowed(t.Context(), nil, "alice", slug) }
		check := func(slug string, want error, looks int) {
			t.Helper()
			if err := ask(slug); !errors.Is(err, want) || s.count("alice/"+slug) != looks {
				t.Errorf("%s: %v after %d look-ups, want %v after %d", slug, err, s.count("alice/"+slug), want, looks)
			}
		}
		check("drive", nil, 1)
		time.Sleep(appYesTime - 1)
		check("drive", nil, 1)
		time.Sleep(time.Nanosecond)
		check("drive", nil, 2)

		check("photos", errNotInstalled, 1)
		s.apps["alice/photos"] = true
		time.Sleep(appNoTime - 1)
		check("photos", errNotInstalled, 1)
		time.Sleep(time.Nanosecond)
		check("photos", nil, 2)

		s.err = down
		check("notes", down, 1)
		check("notes", tenancy.ErrUnavailable, 1)
		if err := ask("notes"); errors.Is(err, caddytls.ErrPermissionDenied) {
			t.Errorf("a store that is down: %v is a denial", err)
		}
		check("drive", nil, 2) // what is known is known
		s.err = nil
		time.Sleep(appErrorTime)
		check("notes", errNotInstalled, 2)
	})
}

// TestAppHostsSingleFlight: many who come for one host at a time are one look-up, also
// where the first of them goes away.
func TestAppHostsSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf("alice/drive")
		s.hold = make(chan struct{})
		a := newAppHosts(s.look, time.Now)
		first, leave := context.WithCancel(t.Context())
		answers := make(chan error, 100)
		go func() { answers <- a.allowed(first, nil, "alice", "drive") }()
		synctest.Wait()
		for range 99 {
			go func() { answers <- a.allowed(t.Context(), nil, "alice", "drive") }()
		}
		synctest.Wait()
		leave()
		if err := <-answers; !errors.Is(err, context.Canceled) || !errors.Is(err, tenancy.ErrUnavailable) {
			t.Errorf("who went away: %v", err)
		}
		close(s.hold)
		for range 99 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if n := s.count("alice/drive"); n != 1 {
			t.Errorf("there were %d look-ups", n)
		}
	})
}

// TestAppHostsBounds: a flood of made-up hosts on a store that hangs.
func TestAppHostsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf("alice/drive")
		a := newAppHosts(s.look, time.Now)
		if err := a.allowed(t.Context(), nil, "alice", "drive"); err != nil {
			t.Fatal(err)
		}
		s.hold = make(chan struct{})
		begin := time.Now()
		var busy, failed int
		var mu sync.Mutex
		var group sync.WaitGroup
		const flood = 1000
		for i := range flood {
			group.Go(func() {
				err := a.allowed(t.Context(), nil, "alice", fmt.Sprint("x", i))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, errAppsBusy):
					busy++
				case errors.Is(err, tenancy.ErrUnavailable):
					failed++
				}
			})
		}
		synctest.Wait()
		if err := a.allowed(t.Context(), nil, "alice", "drive"); err != nil {
			t.Errorf("what is known, meanwhile: %v", err)
		}
		group.Wait()
		if took := time.Since(begin); took != appLookTime {
			t.Errorf("it took %v", took)
		}
		if s.most != appLooks || failed < appLooks || busy < flood/2 || failed+busy != flood {
			t.Errorf("%d look-ups at a time; %d failed, and %d were too many", s.most, failed, busy)
		}
		// Guesses do not drive out what there is, and are themselves bounded.
		s.hold = nil
		for i := range 3 * maxAppHosts {
			if err := a.allowed(t.Context(), nil, "alice", fmt.Sprint("y", i)); !errors.Is(err, errNotInstalled) {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		if n := a.no.Len(); n > maxAppHosts {
			t.Errorf("%d guesses are remembered", n)
		}
		if err := a.allowed(t.Context(), nil, "alice", "drive"); err != nil || s.count("alice/drive") != 1 {
			t.Errorf("after them: %v, %d look-ups", err, s.count("alice/drive"))
		}
	})
}

func BenchmarkAppHostsKnown(b *testing.B) {
	a := newAppHosts(newShelf("alice/drive").look, time.Now)
	b.ReportAllocs()
	for b.Loop() {
		_ = a.allowed(b.Context(), nil, "alice", "drive")
	}
}
