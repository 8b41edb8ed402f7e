// Modify: each field, what is left alone, and writers that meet.

package lifecycle_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// attributes are a record's fields but those that each record has of its own.
func attributes(inst *tenancy.Instance) map[string]string {
	out := map[string]string{}
	for name, raw := range inst.Attributes() {
		if !slices.Contains([]string{"domain", "prefix", "indexes_version", "password_defined", "locale"}, name) {
			out[name] = string(raw)
		}
	}
	return out
}

// settingsOf are an instance's settings, without id and revision.
func (f *fleet) settingsOf(t testing.TB, inst *tenancy.Instance) map[string]string {
	t.Helper()
	doc := map[string]string{}
	raw := f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.settings"))[provision.SettingsID]
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc, "_id")
	delete(doc, "_rev")
	return doc
}

// TestModifyFields: each field goes where the contract says, an empty one clears it,
// and both an add and a modify do so.
func TestModifyFields(t *testing.T) {
	t.Parallel()
	s := func(v string) *string { return &v }
	for name, c := range map[string]struct {
		set      lifecycle.Change
		record   map[string]string // raw JSON by field
		settings map[string]string
		clear    *lifecycle.Change
		plain    bool // not for an add
	}{
		"old domain":     {set: lifecycle.Change{OldDomain: s("Old.example.com")}, record: map[string]string{"old_domain": `"old.example.com"`}, clear: &lifecycle.Change{OldDomain: s("")}},
		"organisation":   {set: lifecycle.Change{OrgDomain: s("org.example.com"), OrgID: s("o1")}, record: map[string]string{"org_domain": `"org.example.com"`, "org_id": `"o1"`}, clear: &lifecycle.Change{OrgDomain: s(""), OrgID: s("")}},
		"uuid":           {set: lifecycle.Change{UUID: s("u-1")}, record: map[string]string{"uuid": `"u-1"`}, clear: &lifecycle.Change{UUID: s("")}},
		"oidc":           {set: lifecycle.Change{OIDCID: s("sub")}, record: map[string]string{"oidc_id": `"sub"`}, clear: &lifecycle.Change{OIDCID: s("")}},
		"france connect": {set: lifecycle.Change{FranceConnectID: s("fc")}, record: map[string]string{"franceconnect_id": `"fc"`}, clear: &lifecycle.Change{FranceConnectID: s("")}},
		"terms":          {set: lifecycle.Change{TOSSigned: s("1.0.0-20240131"), TOSLatest: s("20250131")}, record: map[string]string{"tos": `"1.0.0-20240131"`, "tos_latest": `"20250131"`}, clear: &lifecycle.Change{TOSSigned: s(""), TOSLatest: s("")}},
		"context":        {set: lifecycle.Change{ContextName: s("beta")}, record: map[string]string{"context": `"beta"`}, clear: &lifecycle.Change{ContextName: s("")}},
		"two factors":    {set: lifecycle.Change{AuthMode: s("two_factor_mail")}, record: map[string]string{"auth_mode": `1`}, clear: &lifecycle.Change{AuthMode: s("basic")}},
		"sponsorships":   {set: lifecycle.Change{Sponsorships: &[]string{"a", "b"}}, record: map[string]string{"sponsorships": `["a","b"]`}, clear: &lifecycle.Change{Sponsorships: &[]string{}}},
		"feature sets":   {set: lifecycle.Change{FeatureSets: &[]string{"x"}}, record: map[string]string{"feature_sets": `["x"]`}, clear: &lifecycle.Change{FeatureSets: &[]string{}}},
		"no auto update": {set: lifecycle.Change{AutoUpdate: ptr(false)}, record: map[string]string{"no_auto_update": `true`}, clear: &lifecycle.Change{AutoUpdate: ptr(true)}},
		"magic link":     {set: lifecycle.Change{MagicLink: ptr(true)}, record: map[string]string{"magic_link": `true`}, clear: &lifecycle.Change{MagicLink: ptr(false)}},
		"layout":         {set: lifecycle.Change{SwiftLayout: ptr(2)}, record: map[string]string{"swift_cluster": `2`}, clear: &lifecycle.Change{SwiftLayout: ptr(0)}},
		"quota":          {set: lifecycle.Change{DiskQuota: ptr(int64(3_000_000_000))}, record: map[string]string{"disk_quota": `"3000000000"`}, clear: &lifecycle.Change{DiskQuota: ptr(int64(0))}},
		"onboarded":      {set: lifecycle.Change{OnboardingFinished: ptr(true)}, record: map[string]string{"onboarding_finished": `true`}, clear: &lifecycle.Change{OnboardingFinished: ptr(false)}},
		"blocked":        {set: lifecycle.Change{Blocked: ptr(true), BlockingReason: s(" PAYMENT_FAILED ")}, record: map[string]string{"blocked": `true`, "blocking_reason": `"PAYMENT_FAILED"`}, clear: &lifecycle.Change{Blocked: ptr(false)}},
		"aliases":        {set: lifecycle.Change{Aliases: &[]string{"A.example.com", "b.example.com:8080"}}, record: map[string]string{"domain_aliases": `["a.example.com","b.example.com:8080"]`}, clear: &lifecycle.Change{Aliases: &[]string{}}},
		"owner": {
			set:      lifecycle.Change{Email: s("a@b.c"), PublicName: s("Alice"), Phone: s("+33"), Timezone: s("Europe/Paris")},
			settings: map[string]string{"email": "a@b.c", "public_name": "Alice", "phone": "+33", "tz": "Europe/Paris"},
			clear:    &lifecycle.Change{Email: s(""), PublicName: s(""), Phone: s(""), Timezone: s("")},
		},
		"settings": {
			set: lifecycle.Change{Settings: map[string]string{
				"offer": "freemium", "tz": "Europe/Paris", "email": "a@b.c", "context": "beta", "uuid": "u", "oidc_id": "o",
				"tos": "20240131", "tos_latest": "20250131", "auth_mode": "two_factor_mail", "auto_update": "false", "onboarding_finished": "true",
			}},
			record: map[string]string{
				"context": `"beta"`, "uuid": `"u"`, "oidc_id": `"o"`, "tos": `"20240131"`, "tos_latest": `"20250131"`,
				"auth_mode": `1`, "no_auto_update": `true`, "onboarding_finished": `true`,
			},
			settings: map[string]string{"offer": "freemium", "tz": "Europe/Paris", "email": "a@b.c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := embeddedFleet(t)
			d := f.door(t)
			check := func(inst *tenancy.Instance, record, settings map[string]string, what string) {
				t.Helper()
				if got := attributes(inst); !maps.Equal(got, record) {
					t.Errorf("%s: record %v, want %v", what, got, record)
				}
				if got := f.settingsOf(t, inst); !maps.Equal(got, settings) {
					t.Errorf("%s: settings %v, want %v", what, got, settings)
				}
				stored := f.records(t)[inst.ID()]
				if !reflect.DeepEqual(stored.Attributes(), inst.Attributes()) {
					t.Errorf("%s: the answer is not what is stored", what)
				}
			}
			check(d.add(t, "new.example.com", c.set), c.record, c.settings, "add")
			if err := d.Destroy(t.Context(), "new.example.com", nil); err != nil {
				t.Fatal(err)
			}
			inst := d.add(t, "alice.example.com", lifecycle.Change{})
			check(inst, nil, nil, "before")
			secret := inst.Text("session_secret")
			modify := func(change lifecycle.Change) *tenancy.Instance {
				t.Helper()
				inst, err := d.Modify(t.Context(), "alice.example.com", change)
				if err != nil {
					t.Fatal(err)
				}
				return inst
			}
			check(modify(c.set), c.record, c.settings, "modify")
			check(modify(lifecycle.Change{}), c.record, c.settings, "a change of nothing")
			if c.clear != nil {
				inst = modify(*c.clear)
				check(inst, nil, nil, "clear")
			}
			if inst.Text("session_secret") != secret {
				t.Error("a secret was changed")
			}
			f.whole(t, "alice.example.com")
		})
	}
}

// TestModifyKeepsUnknown: what a newer stack wrote survives, also a number that no
// float can hold.
func TestModifyKeepsUnknown(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d := f.door(t)
		f.stackMade(t, d, "0123", `{"domain":"alice.example.com","prefix":"cozy01","feature_flags":{"a":[1,{"b":null}]},"huge":12345678901234567890,"blocked":true,"blocking_reason":"LOGIN_FAILED"}`)
		inst, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Blocked: ptr(false), Locale: ptr("fr")})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"feature_flags": `{"a":[1,{"b":null}]}`}
		if f.kind != "pouchdb" { // which is javascript, and rounds
			want["huge"] = "12345678901234567890"
		}
		got := attributes(f.records(t)["0123"])
		for field, value := range want {
			if got[field] != value {
				t.Errorf("%s is %s, want %s", field, got[field], value)
			}
		}
		if inst.State() != tenancy.Active || inst.Has("blocking_reason") || inst.Locale() != "fr" {
			t.Errorf("record: %v", got)
		}
	})
}

// meddle writes a field into a record, as another front door or a stack would.
func (f *fleet) meddle(t testing.TB, id, field, value string) {
	t.Helper()
	raw, err := f.store.Get(t.Context(), provision.InstancesDB, id)
	if err != nil {
		t.Error(err)
		return
	}
	inst, err := tenancy.ParseInstance(raw)
	if err != nil {
		t.Error(err)
		return
	}
	inst.Set(field, value)
	if _, err := f.store.Put(t.Context(), provision.InstancesDB, id, inst); err != nil {
		t.Error(err)
	}
}

// TestModifyMeetsWriter: a write by somebody else between reading and writing is kept,
// and the change made on top of it; a writer that never stops is a conflict in the end.
func TestModifyMeetsWriter(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *fleet) {
		for _, meetings := range []int{3, 1000} {
			d := f.door(t)
			inst := d.add(t, fmt.Sprintf("alice-%d.example.com", meetings), lifecycle.Change{})
			met := 0
			d.line.fails(func(_ int, r *http.Request) verdict {
				if r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/global/instances/") && met < meetings {
					met++
					f.meddle(t, inst.ID(), "uuid", fmt.Sprintf("meeting %d", met))
				}
				return pass
			})
			changed, err := d.Modify(t.Context(), inst.Domain(), lifecycle.Change{Locale: ptr("fr")})
			if meetings == 1000 {
				is(t, err, tenancy.ErrConflict, "a writer that never stops")
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if changed.Text("uuid") != "meeting 3" || changed.Locale() != "fr" {
				t.Errorf("record: %v", changed.Attributes())
			}
		}
	})
}

// TestModifyAliases: new ones are claimed, old ones given up, and those of others
// refused without any change.
func TestModifyAliases(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, f *fleet) {
		d, other := f.door(t), f.door(t)
		d.add(t, "bob.example.com", lifecycle.Change{Aliases: &[]string{"b.example.com"}})
		d.add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"a1.example.com", "a2.example.com"}})
		_, err := other.Modify(t.Context(), "alice.example.com", lifecycle.Change{
			Aliases: &[]string{"a3.example.com", "b.example.com"}, Email: ptr("new@example.com"), Locale: ptr("fr"),
		})
		is(t, err, tenancy.ErrExists, "an alias of somebody else")
		inst, err := other.Get(t.Context(), "alice.example.com")
		if err != nil || inst.Locale() != "en" || f.settingsOf(t, inst)["email"] != "" {
			t.Errorf("a refused change changed %v (%v)", inst, err)
		}
		f.whole(t, "bob.example.com", "alice.example.com")
		inst, err = other.Modify(t.Context(), "a1.example.com", lifecycle.Change{Aliases: &[]string{"a2.example.com", "a3.example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := inst.Aliases(); !slices.Equal(got, []string{"a2.example.com", "a3.example.com"}) {
			t.Errorf("aliases: %q", got)
		}
		f.whole(t, "bob.example.com", "alice.example.com")
		// What was given up is free for others, and what was taken is not.
		if _, err := d.Modify(t.Context(), "bob.example.com", lifecycle.Change{Aliases: &[]string{"a1.example.com"}}); err != nil {
			t.Fatal(err)
		}
		_, err = d.Modify(t.Context(), "bob.example.com", lifecycle.Change{Aliases: &[]string{"a1.example.com", "a3.example.com"}})
		is(t, err, tenancy.ErrExists, "an alias that was taken")
		f.whole(t, "bob.example.com", "alice.example.com")
	})
}

// TestModifyAliasesTogether: of two changes of the names of one instance at the same
// moment, each ends whole or is told of the other; no name is without a claim.
func TestModifyAliasesTogether(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	doors := []*door{f.door(t), f.door(t), f.door(t)}
	doors[0].add(t, "alice.example.com", lifecycle.Change{Aliases: &[]string{"a.example.com"}})
	for range 50 {
		together(doors, func(i int, d *door) {
			wanted := [][]string{{}, {"a.example.com"}, {"a.example.com", "b.example.com"}}[i]
			_, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Aliases: &wanted})
			if err != nil && !errors.Is(err, tenancy.ErrConflict) {
				t.Errorf("%v", err)
			}
		})
		f.whole(t, "alice.example.com")
		if t.Failed() {
			return
		}
	}
}
