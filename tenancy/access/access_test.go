// The tokens, on each kind of store.

package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/access"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

// eachStore runs a test on stores of its own.
func eachStore(t *testing.T, test func(t *testing.T, cluster *couch.Cluster)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, testkit.EmbeddedStore(t).Cluster)
	})
	t.Run("pouchdb", func(t *testing.T) {
		t.Parallel()
		test(t, testkit.Cluster(t, couch.Config{URLs: []string{testkit.PouchDB(t).URL()}}))
	})
}

func is(t *testing.T, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// TestLife: a token is made, taken, listed, and dies on all front doors.
func TestLife(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, cluster *couch.Cluster) {
		ctx, clock := t.Context(), newClock()
		here := access.New(access.Options{Cluster: cluster, Now: clock.Now})
		there := access.New(access.Options{Cluster: cluster, Now: clock.Now})
		if err := here.List(ctx, func(access.Token) error { return errors.New("there is one") }); err != nil {
			t.Errorf("before the first one: %v", err)
		}
		_, err := here.Check(ctx, "gh_0011223344556677_"+strings.Repeat("x", 43))
		is(t, err, access.ErrDenied, "before the first one")
		made, secret, err := here.Add(ctx, "billing", access.Block, 90*24*time.Hour, "admin")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(secret, "gh_"+made.ID+"_") || len(secret) != 3+16+1+43 {
			t.Errorf("the token has the form %q", secret)
		}
		raw, err := cluster.Get(ctx, provision.TokensDB, made.ID)
		if err != nil || strings.Contains(string(raw), secret[20:]) {
			t.Errorf("the store has the secret (%v)", err)
		}
		for _, s := range []*access.Store{here, there} {
			got, err := s.Check(ctx, secret)
			if err != nil || got.Name != "billing" || got.Role != access.Block {
				t.Errorf("%+v, %v", got, err)
			}
		}
		for _, bad := range []string{"", "x", secret[:len(secret)-1], secret + "x", secret[:len(secret)-2] + "xx", "GH" + secret[2:]} {
			_, err := here.Check(ctx, bad)
			is(t, err, access.ErrDenied, bad)
		}
		_, _, err = there.Add(ctx, "billing", access.Read, 0, "admin")
		is(t, err, tenancy.ErrConflict, "a name twice")
		if err := here.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if err := there.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := here.Revoke(ctx, "billing"); err != nil {
			t.Fatal(err)
		}
		_, err = here.Check(ctx, secret)
		is(t, err, access.ErrDenied, "where it was revoked")
		clock.add(access.DefaultTTL)
		_, err = there.Check(ctx, secret)
		is(t, err, access.ErrDenied, "elsewhere, after the time of the cache")
		_, err = here.Revoke(ctx, "billing")
		is(t, err, tenancy.ErrNotFound, "revoked twice")
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := access.New(access.Options{Cluster: testkit.EmbeddedStore(t).Cluster, Now: clock.Now})
	_, secret, err := s.Add(t.Context(), "short", access.Read, time.Hour, "admin")
	if err != nil {
		t.Fatal(err)
	}
	clock.add(time.Hour - time.Second)
	if _, err := s.Check(t.Context(), secret); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	clock.add(time.Second)
	_, err = s.Check(t.Context(), secret)
	is(t, err, access.ErrDenied, "at its end")
}

// TestLastUsed: noted, but at most each hour, and a note does not bring a revoked
// token back.
func TestLastUsed(t *testing.T) {
	t.Parallel()
	clock := newClock()
	cluster := testkit.EmbeddedStore(t).Cluster
	s := access.New(access.Options{Cluster: cluster, Now: clock.Now})
	made, secret, err := s.Add(t.Context(), "ci", access.Admin, 0, "admin")
	if err != nil {
		t.Fatal(err)
	}
	revs := map[string]bool{}
	for range 5 {
		if _, err := s.Check(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		if err := s.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		raw, err := cluster.Get(t.Context(), provision.TokensDB, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Rev  string    `json:"_rev"`
			Used time.Time `json:"last_used_at"`
		}
		if err := json.Unmarshal(raw, &doc); err != nil || doc.Used.IsZero() {
			t.Fatalf("%s (%v)", raw, err)
		}
		revs[doc.Rev] = true
		clock.add(25 * time.Minute)
	}
	if len(revs) != 2 { // at 0 and at 75 minutes
		t.Errorf("%d writings in 100 minutes, want 2", len(revs))
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	s := access.New(access.Options{Cluster: testkit.EmbeddedStore(t).Cluster})
	var field *tenancy.FieldError
	for _, c := range []struct {
		name, field string
		role        access.Role
		life        time.Duration
	}{
		{"", "Name", access.Read, 0}, {"Admin", "Name", access.Read, 0}, {"a b", "Name", access.Read, 0},
		{strings.Repeat("x", 65), "Name", access.Read, 0}, {"x", "Role", "root", 0}, {"x", "Expire", access.Read, -1},
		{"x", "Expire", access.Read, access.MaxLife + 1},
	} {
		if _, _, err := s.Add(t.Context(), c.name, c.role, c.life, "admin"); !errors.As(err, &field) || field.Field != c.field {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestStoreGone: a token that may have been revoked is not taken.
func TestStoreGone(t *testing.T) {
	t.Parallel()
	s := access.New(access.Options{Cluster: testkit.Cluster(t, couch.Config{URLs: []string{"http://127.0.0.1:1"}})})
	_, err := s.Check(context.Background(), "gh_0011223344556677_"+strings.Repeat("x", 43))
	if errors.Is(err, access.ErrDenied) || !errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have, need access.Role
		may        bool
	}{
		{access.Read, access.Read, true}, {access.Read, access.Block, false}, {access.Read, access.Admin, false},
		{access.Block, access.Read, true}, {access.Block, access.Block, true}, {access.Block, access.Admin, false},
		{access.Admin, access.Admin, true}, {access.Admin, access.Read, true},
		{"", access.Read, false}, {"root", access.Read, false}, {access.Admin, "", false},
	} {
		if c.have.May(c.need) != c.may {
			t.Errorf("%q may %q: %v", c.have, c.need, !c.may)
		}
	}
}
