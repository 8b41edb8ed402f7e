// Owner: the setting of passphrases, and what of two at once is left.

package lifecycle_test

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// TestSetPassphraseStopped: one that was stopped between its two writes, for so long that
// another has set a passphrase meanwhile, leaves the vault that one's keys.
func TestSetPassphraseStopped(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	other := f.door(t)
	inst := other.add(t, "alice.example.com", lifecycle.Change{Passphrase: cheap("b2xk")})
	o, d := f.options(t)
	var once sync.Once
	o.Now = func() time.Time {
		if f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.settings"))[passphrase.NextID] != nil {
			once.Do(func() {
				f.clock.advance(expiry)
				if _, err := other.SetPassphrase(t.Context(), "alice.example.com", *cheap("c2Vjb25k")); err != nil {
					t.Error(err)
				}
			})
		}
		return f.clock.now()
	}
	d.Service = lifecycle.New(o)
	_, err := d.SetPassphrase(t.Context(), "alice.example.com", *cheap("Zmlyc3Q="))
	is(t, err, tenancy.ErrConflict, "the one that was stopped")
	if !f.holds(t, inst.ID(), "c2Vjb25k") || f.vaultKey(t, inst) != cheap("c2Vjb25k").Key {
		t.Errorf("the hash is the second one's: %t; the vault's key is %s", f.holds(t, inst.ID(), "c2Vjb25k"), f.vaultKey(t, inst))
	}
}

// TestSetPassphraseFails: where the record got no answer, the hash and the vault's key are
// both the old ones, or, if it comes late, both the new ones once the lease has ended.
func TestSetPassphraseFails(t *testing.T) {
	t.Parallel()
	eachLine(t, func(t *testing.T, f *fleet) {
		for i, lands := range []bool{false, true} {
			d, other, name := f.door(t), f.door(t), fmt.Sprintf("alice%d.example.com", i)
			inst := d.add(t, name, lifecycle.Change{Passphrase: cheap("b2xk")})
			d.line.fails(func(_ int, r *http.Request) verdict {
				if r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/global/instances/") {
					return late
				}
				return pass
			})
			_, err := d.SetPassphrase(t.Context(), name, *cheap("bmV3"))
			is(t, err, tenancy.ErrUnavailable, "a passphrase whose record cannot be written")
			if !f.holds(t, inst.ID(), "b2xk") || f.vaultKey(t, inst) != cheap("b2xk").Key {
				t.Errorf("the vault's key is %s", f.vaultKey(t, inst))
			}
			_, err = other.SetPassphrase(t.Context(), name, *cheap("bmV4dA=="))
			is(t, err, tenancy.ErrConflict, "another one before the end of the lease")
			want := "b2xk"
			if lands {
				want = "bmV3"
				if d.line.land() != 1 {
					t.Fatal("nothing was late")
				}
			}
			f.clock.advance(expiry)
			other.TendOnce(t.Context())
			if !f.holds(t, inst.ID(), want) || f.vaultKey(t, inst) != cheap(want).Key || len(f.journal(t)) != 0 {
				t.Errorf("lands: %t, the vault's key is %s; in the journal is %q", lands, f.vaultKey(t, inst), f.journal(t))
			}
			if _, err = other.SetPassphrase(t.Context(), name, *cheap("bmV4dA==")); err != nil || !f.holds(t, inst.ID(), "bmV4dA==") {
				t.Errorf("another one after it: %v", err)
			}
			d.line.hangUp()
		}
	})
}

// TestSetPassphraseRefused: where the record is refused, nothing is left beside the vault.
func TestSetPassphraseRefused(t *testing.T) {
	t.Parallel()
	eachLine(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		inst := d.add(t, "alice.example.com", lifecycle.Change{Passphrase: cheap("b2xk")})
		token := []byte("somebody's")
		is(t, d.Onboard(t.Context(), inst.ID(), token, "a long passphrase"), lifecycle.ErrBadToken, "a bad token")
		d.before(http.MethodPut, "/global/instances/", func() {
			if _, err := f.store.Delete(t.Context(), provision.InstancesDB, inst.ID(), f.records(t)[inst.ID()].Rev()); err != nil {
				t.Error(err)
			}
		})
		_, err := d.SetPassphrase(t.Context(), "alice.example.com", *cheap("bmV3"))
		is(t, err, tenancy.ErrNotFound, "one of an instance that has gone meanwhile")
		if _, ok := f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.settings"))[passphrase.NextID]; ok || len(f.journal(t)) != 0 {
			t.Errorf("keys are left: %t, and in the journal %q", ok, f.journal(t))
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
