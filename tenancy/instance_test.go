// Instance: what is read of a document, and that everything else survives.

package tenancy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func instance(t testing.TB, doc string) *tenancy.Instance {
	t.Helper()
	inst, err := tenancy.ParseInstance([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return inst
}

func TestInstanceFields(t *testing.T) {
	t.Parallel()
	inst := instance(t, `{"_id":"01","_rev":"2-a","domain":"alice.localhost:8090","domain_aliases":["a.example","b.example"],
		"old_domain":"old.example","prefix":"cozy01","locale":"fr","couch_cluster":2,"session_secret":"AQID","indexes_version":38}`)
	got := []any{inst.ID(), inst.Rev(), inst.Domain(), inst.Aliases(), inst.Names(), inst.OldDomain(), inst.Prefix(), inst.Locale(), inst.Cluster(), inst.Bytes("session_secret"), inst.Int("indexes_version")}
	want := []any{"01", "2-a", "alice.localhost:8090", []string{"a.example", "b.example"}, []string{"alice.localhost:8090", "a.example", "b.example"}, "old.example", "cozy01", "fr", 2, []byte{1, 2, 3}, 38}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	empty := instance(t, `{"domain":"old.stack.example"}`)
	if empty.Prefix() != "old.stack.example" || empty.Aliases() != nil || len(empty.Names()) != 1 || empty.Has("prefix") || empty.Raw("prefix") != nil {
		t.Errorf("of a document with a domain alone: %q, %q", empty.Prefix(), empty.Names())
	}
}

func TestParseInstanceRefuses(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{``, `null`, `[]`, `"a"`, `1`, `{`, `{"a":}`} {
		if _, err := tenancy.ParseInstance([]byte(doc)); err == nil {
			t.Errorf("ParseInstance(%s) takes it", doc)
		}
	}
}

// TestWrongTypes: a field of another type counts as absent, and Malformed names it
// where routing depends on it.
func TestWrongTypes(t *testing.T) {
	t.Parallel()
	for doc, field := range map[string]string{
		`{"domain":"a.b"}`: "",
		`{"domain":"a.b","domain_aliases":null,"blocked":null,"prefix":null}`: "",
		`{"domain":"a.b","locale":1,"tos":[]}`:                                "",
		`{"domain":1}`:                                                        "domain",
		`{}`:                                                                  "domain",
		`{"domain":""}`:                                                       "domain",
		`{"domain":"a b"}`:                                                    "domain",
		`{"domain":"a.b","domain_aliases":"a"}`:                               "domain_aliases",
		`{"domain":"a.b","domain_aliases":["a",1]}`:                           "domain_aliases",
		`{"domain":"a.b","old_domain":{}}`:                                    "old_domain",
		`{"domain":"a.b","prefix":7}`:                                         "prefix",
		`{"domain":"a.b","blocked":"true"}`:                                   "blocked",
		`{"domain":"a.b","blocking_reason":1}`:                                "blocking_reason",
		`{"domain":"a.b","deleting":1}`:                                       "deleting",
		`{"domain":"a.b","couch_cluster":"1"}`:                                "couch_cluster",
		`{"domain":"a.b","couch_cluster":1.5}`:                                "couch_cluster",
	} {
		inst := instance(t, doc)
		err := inst.Malformed()
		if field == "" {
			if err != nil {
				t.Errorf("%s: %v", doc, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "field "+field) {
			t.Errorf("%s: %v, want the field %s", doc, err, field)
		}
		// Reading it all the same does no harm.
		_, _, _, _, _ = inst.Names(), inst.Prefix(), inst.State(), inst.Cluster(), inst.BlockingReason()
	}
	if got := instance(t, `{"domain_aliases":["a",1]}`).Aliases(); got != nil {
		t.Errorf("half a list is read as %q", got)
	}
}

func TestDiskQuota(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]int64{
		`{}`:                                    0,
		`{"disk_quota":"3000000000"}`:           3_000_000_000,
		`{"disk_quota":3000000000}`:             3_000_000_000,
		`{"disk_quota":"9223372036854775807"}`:  9223372036854775807,
		`{"disk_quota":"3GB"}`:                  0,
		`{"disk_quota":""}`:                     0,
		`{"disk_quota":null}`:                   0,
		`{"disk_quota":1.5}`:                    0,
		`{"disk_quota":"92233720368547758070"}`: 0,
	} {
		if got := instance(t, doc).DiskQuota(); got != want {
			t.Errorf("the quota of %s is %d, want %d", doc, got, want)
		}
	}
	inst := tenancy.NewInstance()
	inst.SetDiskQuota(5)
	if got := string(inst.Raw("disk_quota")); got != `"5"` || inst.DiskQuota() != 5 {
		t.Errorf("the document says %s", got)
	}
	inst.SetDiskQuota(0)
	if inst.Has("disk_quota") {
		t.Error("no quota is a field")
	}
}

func TestSetAndUnset(t *testing.T) {
	t.Parallel()
	inst := tenancy.NewInstance()
	tenancy.SetOrUnset(inst, "locale", "fr")
	tenancy.SetOrUnset(inst, "blocked", true)
	tenancy.SetOrUnset(inst, "auth_mode", 1)
	inst.SetList("sponsorships", []string{"a"})
	copied := inst.Clone()
	if got := inst.Fields(); !slices.Equal(got, []string{"auth_mode", "blocked", "locale", "sponsorships"}) {
		t.Errorf("fields: %q", got)
	}
	tenancy.SetOrUnset(inst, "locale", "")
	tenancy.SetOrUnset(inst, "blocked", false)
	tenancy.SetOrUnset(inst, "auth_mode", 0)
	inst.SetList("sponsorships", []string{})
	if got := inst.Fields(); len(got) != 0 {
		t.Errorf("left are the fields %q", got)
	}
	if len(copied.Fields()) != 4 || copied.Locale() != "fr" {
		t.Error("a copy changed with the original")
	}
}

// TestAttributesHideSecrets: no secret, known or of a newer stack, and no internal
// field is among what may be shown.
func TestAttributesHideSecrets(t *testing.T) {
	t.Parallel()
	inst := tenancy.NewInstance()
	secrets := []string{
		"passphrase_hash", "passphrase_reset_token", "register_token", "session_secret", "oauth_secret", "cli_secret",
		"new_secret", "api_key", "old_password", "wifi_passphrase",
	}
	for _, name := range append(secrets, "_id", "_rev", "_attachments") {
		inst.Set(name, "hidden")
	}
	shown := []string{"domain", "password_defined", "passphrase_reset_time", "tos", "feature_flags"}
	for _, name := range shown {
		inst.Set(name, "shown")
	}
	attributes := inst.Attributes()
	slices.Sort(shown)
	if got := slices.Sorted(maps.Keys(attributes)); !slices.Equal(got, shown) {
		t.Errorf("attributes %q, want %q", got, shown)
	}
	for _, name := range secrets {
		if !tenancy.Secret(name) {
			t.Errorf("%s is no secret", name)
		}
	}
}

// TestInstanceRoundTrip: whatever JSON a field has, a number that no float holds
// among them, is there again after a change of another field.
func TestInstanceRoundTrip(t *testing.T) {
	t.Parallel()
	value := rapid.OneOf(
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?`),
		rapid.Map(rapid.String(), func(s string) string { raw, _ := json.Marshal(s); return string(raw) }),
		rapid.SampledFrom([]string{"null", "true", "false", "{}", "[]", `{"a":[1,{"b":12345678901234567890}]}`, `"\u003c\ud83d\ude00"`}),
	)
	rapid.Check(t, func(t *rapid.T) {
		fields := rapid.MapOfN(rapid.StringMatching(`[a-z_]{1,12}`), value, 0, 10).Draw(t, "fields")
		var doc bytes.Buffer
		doc.WriteString("{")
		for i, name := range slices.Sorted(maps.Keys(fields)) {
			if i > 0 {
				doc.WriteString(" ,\n")
			}
			doc.WriteString(`"` + name + `": ` + fields[name])
		}
		doc.WriteString("}")
		inst, err := tenancy.ParseInstance(doc.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", doc.Bytes(), err)
		}
		inst.Set("zz", "new") // no drawn field sorts there, or it is replaced
		raw, err := json.Marshal(inst)
		if err != nil {
			t.Fatal(err)
		}
		again, err := tenancy.ParseInstance(raw)
		if err != nil {
			t.Fatal(err)
		}
		fields["zz"] = `"new"`
		for name, want := range fields {
			var a, b bytes.Buffer
			if json.Compact(&a, []byte(want)) != nil || json.Compact(&b, again.Raw(name)) != nil || !sameJSON(a.Bytes(), b.Bytes()) {
				t.Fatalf("field %s is %s, want %s", name, again.Raw(name), want)
			}
		}
		if len(again.Fields()) != len(fields) {
			t.Fatalf("fields %q", again.Fields())
		}
	})
}

// sameJSON compares without a view on how a string is escaped, and with numbers
// by their digits.
func sameJSON(a, b []byte) bool {
	decode := func(raw []byte) (v any) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if d.Decode(&v) != nil {
			return errors.New("no JSON")
		}
		return v
	}
	return reflect.DeepEqual(decode(a), decode(b))
}
