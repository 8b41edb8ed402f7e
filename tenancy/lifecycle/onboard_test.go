// Onboarding: the link by which an owner chooses the first passphrase.

package lifecycle_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
)

// TestOnboard: the token is good once, and nothing but the right one is.
func TestOnboard(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		other := d.add(t, "bob.example.com", lifecycle.Change{})
		token := inst.Bytes("register_token")
		check := func(id string, token []byte, want bool) {
			t.Helper()
			if ok, err := d.CheckToken(t.Context(), id, token); ok != want || err != nil {
				t.Errorf("the token is good: %t (%v), want %t", ok, err, want)
			}
		}
		for _, wrong := range [][]byte{nil, {}, token[:15], append(slices.Clone(token), 0), other.Bytes("register_token"), make([]byte, 16)} {
			check(inst.ID(), wrong, false)
			is(t, d.Onboard(t.Context(), inst.ID(), wrong, "correct horse"), lifecycle.ErrBadToken, "a wrong token")
		}
		check(inst.ID(), token, true)
		err := d.Onboard(t.Context(), inst.ID(), token, "")
		if _, ok := errorsAs[*tenancy.FieldError](err); !ok {
			t.Errorf("an empty passphrase: %v", err)
		}
		is(t, d.Onboard(t.Context(), "nobody", token, "correct horse"), tenancy.ErrNotFound, "nobody")
		_, err = d.CheckToken(t.Context(), "nobody", token)
		is(t, err, tenancy.ErrNotFound, "nobody's token")
		check(inst.ID(), token, true)

		if _, err := d.Modify(t.Context(), "bob.example.com", lifecycle.Change{OnboardingFinished: ptr(true)}); err != nil {
			t.Fatal(err)
		}
		check(other.ID(), other.Bytes("register_token"), false)

		if err := d.Onboard(t.Context(), inst.ID(), token, "correct horse"); err != nil {
			t.Fatal(err)
		}
		now := f.records(t)[inst.ID()]
		if !now.Bool("onboarding_finished") || now.Has("register_token") || !now.Has("passphrase_hash") {
			t.Errorf("the record has %q", now.Fields())
		}
		hash := now.Text("passphrase_hash")
		check(inst.ID(), token, false)
		is(t, d.Onboard(t.Context(), inst.ID(), token, "another one"), lifecycle.ErrBadToken, "a token used twice")
		if f.records(t)[inst.ID()].Text("passphrase_hash") != hash {
			t.Error("a token used twice set a passphrase")
		}
	})
}

// TestOnboardTogether: of two who have the same link one wins, and the other's passphrase
// leaves nothing.
func TestOnboardTogether(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	doors := []*door{f.door(t), f.door(t)}
	inst := doors[0].add(t, "alice.example.com", lifecycle.Change{})
	token := inst.Bytes("register_token")
	errs := make([]error, 2)
	together(doors, func(i int, d *door) { errs[i] = d.Onboard(t.Context(), inst.ID(), token, fmt.Sprint("passphrase ", i)) })
	won := slices.Index(errs, nil)
	if won < 0 || errs[1-won] == nil || !errors.Is(errs[1-won], tenancy.ErrConflict) && !errors.Is(errs[1-won], lifecycle.ErrBadToken) {
		t.Fatalf("the two ended with %v", errs)
	}
	hashed, err := passphrase.Input{Domain: "alice.example.com", Passphrase: fmt.Sprint("passphrase ", won)}.ClientHash()
	if err != nil {
		t.Fatal(err)
	}
	if !f.holds(t, inst.ID(), hashed) {
		t.Error("the passphrase is not that of the one that was told so")
	}
	is(t, doors[1-won].Onboard(t.Context(), inst.ID(), token, "late"), lifecycle.ErrBadToken, "the other one once more")
}

// TestResendLink: a new token makes the old one bad; who has a passphrase gets none.
func TestResendLink(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com:8080", lifecycle.Change{})
		old := inst.Bytes("register_token")
		changed, err := d.ResendLink(t.Context(), "alice.example.com:8080", false)
		if err != nil {
			t.Fatal(err)
		}
		token := changed.Bytes("register_token")
		if want := "https://alice.example.com:8080/?registerToken=" + hex.EncodeToString(token); lifecycle.Link(changed) != want || len(token) != 16 {
			t.Errorf("the link is %q, want %q", lifecycle.Link(changed), want)
		}
		for _, c := range []struct {
			token []byte
			want  bool
		}{{old, false}, {token, true}} {
			if ok, err := d.CheckToken(t.Context(), inst.ID(), c.token); ok != c.want || err != nil {
				t.Errorf("a token is good: %t (%v), want %t", ok, err, c.want)
			}
		}
		_, err = d.ResendLink(t.Context(), "alice.example.com:8080", true)
		if field, ok := errorsAs[*tenancy.FieldError](err); !ok || field.Field != "Send" {
			t.Errorf("sending without a hook: %v", err)
		}
		_, err = d.Add(t.Context(), domain(t, "bob.example.com"), lifecycle.Change{SendLink: true}, nil)
		if field, ok := errorsAs[*tenancy.FieldError](err); !ok || field.Field != "Send" {
			t.Errorf("an add that sends without a hook: %v", err)
		}
		if ok, _ := d.CheckToken(t.Context(), inst.ID(), token); !ok {
			t.Error("a refused link made the token bad")
		}
		onboarded, err := d.Modify(t.Context(), "alice.example.com:8080", lifecycle.Change{OnboardingFinished: ptr(true)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.ResendLink(t.Context(), "alice.example.com:8080", false)
		is(t, err, tenancy.ErrConflict, "a link for who is onboarded")
		onboarded.Unset("register_token")
		if link := lifecycle.Link(onboarded); link != "" {
			t.Errorf("without a token the link is %q", link)
		}
		f.whole(t, "alice.example.com:8080")
	})
}
