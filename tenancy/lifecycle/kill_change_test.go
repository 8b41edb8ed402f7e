// Kill in changes: a front door dies at each step of a change of names, and of setting
// a passphrase.

package lifecycle_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// TestKilledInModify: of aliases; one stays, one goes and one comes.
func TestKilledInModify(t *testing.T) {
	t.Parallel()
	const name = "alice.example.com"
	old, wanted := []string{"a1.example.com", "a2.example.com"}, []string{"a2.example.com", "a3.example.com"}
	set := func(t *testing.T, d *door, aliases []string) error {
		_, err := d.Modify(t.Context(), name, lifecycle.Change{Aliases: &aliases})
		return err
	}
	killed{
		steps: 15,
		before: func(t *testing.T, r *ruin) {
			d := r.out.door(t, r.fleet)
			if len(r.records(t)) == 0 {
				d.add(t, name, lifecycle.Change{Aliases: &old})
				d.add(t, "bob.example.com", lifecycle.Change{})
				r.out.until(t, "the hooks", func() bool { return len(r.out.told("")) == 2 })
				if err := d.Close(t.Context()); err != nil {
					t.Error(err)
				}
			} else if err := set(t, d, old); err != nil {
				t.Fatal(err)
			}
		},
		act: func(t *testing.T, _ *ruin, d *door) error { return set(t, d, wanted) },
		check: func(t *testing.T, r *ruin) {
			if r.way != "repair" { // they may leave a claim too many, for whoever wants the name
				d := r.out.door(t, r.fleet)
				for _, alias := range []string{"a1.example.com", "a3.example.com"} {
					if inst, err := d.Get(t.Context(), alias); err == nil && inst.Domain() == name {
						continue
					}
					if _, err := d.Modify(t.Context(), "bob.example.com", lifecycle.Change{Aliases: &[]string{alias}}); err != nil {
						t.Errorf("a name that is nobody's: %v", err)
					}
				}
				if _, err := d.Modify(t.Context(), "bob.example.com", lifecycle.Change{Aliases: &[]string{}}); err != nil {
					t.Error(err)
				}
			}
			got := r.named(t, name, "bob.example.com")[name].Aliases()
			if !slices.Equal(got, wanted) && (!slices.Equal(got, old) || r.died == nil || r.way == "again") {
				t.Errorf("the aliases are %q", got)
			}
			if left := r.journal(t); len(left) != 0 {
				t.Errorf("left in the journal: %q", left)
			}
		},
		after: func(t *testing.T, r *ruin, d *door) {
			if err := set(t, d, wanted); err != nil {
				t.Errorf("the change again: %v", err)
			}
			r.whole(t, name, "bob.example.com")
		},
	}.each(t)
}

// vaultKey is what an instance's vault is encrypted under, as it is stored.
func (f *fleet) vaultKey(t testing.TB, inst *tenancy.Instance) string {
	t.Helper()
	var doc struct {
		Key string `json:"key"`
	}
	raw := f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.settings"))[passphrase.SettingsID]
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
	}
	return doc.Key
}

// TestKilledInSetPassphrase: the hash and the vault's key, which are in two databases,
// are both the old ones or both the new ones.
func TestKilledInSetPassphrase(t *testing.T) {
	t.Parallel()
	const name = "alice.example.com"
	p := cheap("bmV3")
	set := func(t *testing.T, d *door) error {
		_, err := d.SetPassphrase(t.Context(), name, *p)
		return err
	}
	killed{
		costly: true,
		steps:  12,
		before: func(t *testing.T, r *ruin) {
			d := r.out.door(t, r.fleet)
			d.add(t, name, lifecycle.Change{})
			r.out.until(t, "the hook", func() bool { return len(r.out.told("")) > r.seen })
			if err := d.Close(t.Context()); err != nil {
				t.Error(err)
			}
		},
		prepare: func(t *testing.T, d *door) error { return d.Ensure(t.Context()) },
		act:     func(t *testing.T, _ *ruin, d *door) error { return set(t, d) },
		check: func(t *testing.T, r *ruin) {
			inst := r.named(t, name)[name]
			key, hash := r.vaultKey(t, inst), inst.Has("passphrase_hash")
			if (key == p.Key) != hash {
				t.Errorf("the vault's key is %q, and there is a hash: %t", key, hash)
			}
			if !hash && (r.died == nil || r.way == "again") {
				t.Error("it was said to be set, and is not")
			}
			if hash == inst.Has("register_token") || hash != inst.Bool("onboarding_finished") || hash != inst.Bool("password_defined") {
				t.Errorf("with a hash: %t, the fields are %q", hash, inst.Fields())
			}
			if left := r.journal(t); len(left) != 0 {
				t.Errorf("left in the journal: %q", left)
			}
			r.more = map[string]int{}
			if key != "" {
				r.more["io-cozy-settings"] = 1 // and nothing is laid out beside it
			}
			r.whole(t, name)
		},
		after: func(t *testing.T, r *ruin, d *door) { r.gone(t, d) },
	}.each(t)
}
