// Owner: passphrases, and the link by which the first one is chosen.

package lifecycle_test

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// holds checks that an instance's hash is that of what a client sends.
func (f *fleet) holds(t testing.TB, id, hashed string) bool {
	t.Helper()
	ok, err := passphrase.Check(f.records(t)[id].Bytes("passphrase_hash"), hashed)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// vault is the document of an instance's vault.
func (f *fleet) vault(t testing.TB, inst *tenancy.Instance) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal(f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.settings"))[passphrase.SettingsID], &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSetPassphrase: the hash is that of the contract's derivation, all sessions and the
// link end, and what a stack keeps in the vault's settings stays.
func TestSetPassphrase(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.localhost:8090", lifecycle.Change{Email: ptr("a@b.c")})
		settings := provision.DatabaseName(inst.Prefix(), "io.cozy.settings")
		if _, err := f.store.Put(t.Context(), settings, passphrase.SettingsID, json.RawMessage(
			`{"key":"old","passphrase_kdf":1,"encrypted_organization_key":"org","unknown":{"a":[1]},"cozyMetadata":{"createdAt":"2020-01-01T00:00:00Z"}}`)); err != nil {
			t.Fatal(err)
		}
		changed, err := d.SetPassphrase(t.Context(), "alice.localhost:8090", lifecycle.Passphrase{Text: "correct horse", KDFIterations: 50_000})
		if err != nil {
			t.Fatal(err)
		}
		master, err := pbkdf2.Key(sha256.New, "correct horse", []byte("me@alice.localhost"), 50_000, 32)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := pbkdf2.Key(sha256.New, string(master), []byte("correct horse"), 1, 32)
		if err != nil {
			t.Fatal(err)
		}
		if !f.holds(t, inst.ID(), base64.StdEncoding.EncodeToString(sum)) {
			t.Error("the hash is not that of the passphrase")
		}
		now := f.records(t)[inst.ID()]
		if now.Has("register_token") || !now.Bool("onboarding_finished") || !now.Bool("password_defined") || now.Rev() != changed.Rev() {
			t.Errorf("the record has %q", now.Fields())
		}
		for _, field := range []string{"oauth_secret", "cli_secret"} {
			if now.Text(field) != inst.Text(field) {
				t.Errorf("%s is another", field)
			}
		}
		if now.Text("session_secret") == inst.Text("session_secret") || len(now.Bytes("session_secret")) != 64 {
			t.Error("the sessions go on")
		}
		vault := f.vault(t, inst)
		for field, want := range map[string]any{
			"encrypted_organization_key": "org", "unknown": map[string]any{"a": []any{1.0}}, "passphrase_kdf_iterations": 50_000.0, "passphrase_kdf": nil,
		} {
			if got := vault[field]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s of the vault is %v, want %v", field, got, want)
			}
		}
		if key, _ := vault["key"].(string); !strings.HasPrefix(key, "0.") || vault["public_key"] == nil || vault["private_key"] == nil {
			t.Errorf("the vault has %v", vault)
		}
		if got := f.settingsOf(t, inst); got["email"] != "a@b.c" {
			t.Errorf("the settings are %v", got)
		}
		_, err = d.SetPassphrase(t.Context(), "alice.localhost:8090", lifecycle.Passphrase{Text: ""})
		if _, ok := errorsAs[*tenancy.FieldError](err); !ok {
			t.Errorf("an empty passphrase: %v", err)
		}
		_, err = d.SetPassphrase(t.Context(), "nobody.example.com", *cheap("eA=="))
		is(t, err, tenancy.ErrNotFound, "of nobody")
		f.more = map[string]int{"io-cozy-settings": 1}
		f.whole(t, "alice.localhost:8090")
	})
}

// TestSetPassphraseMeets: a second change between the two writes of the first is told of
// it, so that the hash and the vault's key are of the same one.
func TestSetPassphraseMeets(t *testing.T) {
	t.Parallel()
	eachLine(t, func(t *testing.T, f *fleet) {
		d, other := f.door(t), f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{})
		var met error
		d.before(http.MethodPut, "/global/instances/", func() {
			_, met = other.SetPassphrase(t.Context(), "alice.example.com", *cheap("c2Vjb25k"))
		})
		if _, err := d.SetPassphrase(t.Context(), "alice.example.com", *cheap("Zmlyc3Q=")); err != nil {
			t.Fatal(err)
		}
		is(t, met, tenancy.ErrConflict, "the second one")
		if !f.holds(t, inst.ID(), "Zmlyc3Q=") || f.vaultKey(t, inst) != cheap("Zmlyc3Q=").Key {
			t.Error("the hash, or the vault's key, is not the first one's")
		}
	})
}

// TestSetPassphraseTogether: of two at the same moment, each tried until it is done, the
// last one's hash and key are there.
func TestSetPassphraseTogether(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	doors := []*door{f.door(t), f.door(t)}
	inst := doors[0].add(t, "alice.example.com", lifecycle.Change{})
	texts := []string{"Zmlyc3Q=", "c2Vjb25k"}
	together(doors, func(i int, d *door) {
		for {
			_, err := d.SetPassphrase(t.Context(), "alice.example.com", *cheap(texts[i]))
			if err == nil || t.Context().Err() != nil {
				return
			}
			if !errors.Is(err, tenancy.ErrConflict) {
				t.Errorf("%s: %v", d.name, err)
				return
			}
		}
	})
	last := slices.IndexFunc(texts, func(text string) bool { return f.vaultKey(t, inst) == cheap(text).Key })
	if last < 0 || !f.holds(t, inst.ID(), texts[last]) {
		t.Errorf("the vault's key is of %d, and the hash is not", last)
	}
	if left := f.journal(t); len(left) != 0 {
		t.Errorf("left in the journal: %q", left)
	}
}

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
