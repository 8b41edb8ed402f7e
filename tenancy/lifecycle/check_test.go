// Check: which values a change may have. What is refused has no effect.

package lifecycle_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func TestChangeRefused(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	d.add(t, "alice.example.com", lifecycle.Change{})
	many := make([]string, 101)
	settings := map[string]string{}
	for i := range many {
		many[i] = strings.Repeat("a", i%60+1) + ".example.org"
		settings[strings.Repeat("k", i+1)] = "v"
	}
	long, broken := strings.Repeat("é", 513), "a\xff"
	for what, c := range map[string]struct {
		change lifecycle.Change
		field  string
		verb   string // where only one of the two refuses it
	}{
		"a locale that is none":        {change: lifecycle.Change{Locale: ptr("!")}, field: "Locale"},
		"a locale that is too long":    {change: lifecycle.Change{Locale: &long}, field: "Locale"},
		"a zone that is none":          {change: lifecycle.Change{Timezone: ptr("Mars/Olympus")}, field: "Timezone"},
		"the zone of the machine":      {change: lifecycle.Change{Timezone: ptr("Local")}, field: "Timezone"},
		"a zone outside of the table":  {change: lifecycle.Change{Timezone: ptr("../../etc/passwd")}, field: "Timezone"},
		"an address that is none":      {change: lifecycle.Change{Email: ptr("alice")}, field: "Email"},
		"an address with a name":       {change: lifecycle.Change{Email: ptr("Alice <alice@example.com>")}, field: "Email"},
		"a text that is too long":      {change: lifecycle.Change{PublicName: &long}, field: "PublicName"},
		"a text that is not UTF-8":     {change: lifecycle.Change{Phone: &broken}, field: "Phone"},
		"terms of no date":             {change: lifecycle.Change{TOSSigned: ptr("1.0.0")}, field: lifecycle.ErrBadTOS.Field},
		"terms of a bad date":          {change: lifecycle.Change{TOSLatest: ptr("1.0.0-20241331")}, field: lifecycle.ErrBadTOS.Field},
		"a negative quota":             {change: lifecycle.Change{DiskQuota: ptr(int64(-1))}, field: "DiskQuota"},
		"a layout that is none":        {change: lifecycle.Change{SwiftLayout: ptr(3)}, field: "SwiftLayout"},
		"a way of logging in":          {change: lifecycle.Change{AuthMode: ptr("telepathy")}, field: "AuthMode"},
		"a reason in two lines":        {change: lifecycle.Change{BlockingReason: ptr("a\nb")}, field: "BlockingReason"},
		"an alias that is none":        {change: lifecycle.Change{Aliases: &[]string{"a b"}}, field: "DomainAliases"},
		"an alias twice":               {change: lifecycle.Change{Aliases: &[]string{"x.example.com", "X.example.com."}}, field: "DomainAliases"},
		"the domain as an alias":       {change: lifecycle.Change{Aliases: &[]string{"alice.EXAMPLE.com"}}, field: "DomainAliases"},
		"too many aliases":             {change: lifecycle.Change{Aliases: &many}, field: "DomainAliases"},
		"an old domain that is none":   {change: lifecycle.Change{OldDomain: ptr("a/b")}, field: "OldDomain"},
		"too many sponsorships":        {change: lifecycle.Change{Sponsorships: &many}, field: "Sponsorships"},
		"a feature set that is long":   {change: lifecycle.Change{FeatureSets: &[]string{long}}, field: "FeatureSets"},
		"too many settings":            {change: lifecycle.Change{Settings: settings}, field: "Settings"},
		"a setting without a key":      {change: lifecycle.Change{Settings: map[string]string{"": "a"}}, field: "Settings"},
		"a setting that is an id":      {change: lifecycle.Change{Settings: map[string]string{"_id": "a"}}, field: "Settings"},
		"a setting that is no boolean": {change: lifecycle.Change{Settings: map[string]string{"auto_update": "maybe"}}, field: "Settings"},
		"a setting that is long":       {change: lifecycle.Change{Settings: map[string]string{"a": long}}, field: "Settings"},
		"a setting with a bad locale":  {change: lifecycle.Change{Settings: map[string]string{"locale": "!"}}, field: "Locale"},
		"the flag on a new instance":   {change: lifecycle.Change{Deleting: ptr(true)}, field: "Deleting", verb: "add"},
		"a cluster that is none":       {change: lifecycle.Change{CouchCluster: ptr(7)}, field: "CouchCluster"},
		"another cluster":              {change: lifecycle.Change{CouchCluster: ptr(0)}, field: "CouchCluster", verb: "modify"},
	} {
		before := attributes(f.records(t)[onlyRecord(t, f)])
		_, added := d.Add(t.Context(), domain(t, "bob.example.com"), c.change, nil)
		_, modified := d.Modify(t.Context(), "alice.example.com", c.change)
		if what == "the domain as an alias" {
			added = modified // for another domain it is somebody's
		}
		for verb, err := range map[string]error{"add": added, "modify": modified} {
			if c.verb != "" && c.verb != verb {
				continue
			}
			var field *tenancy.FieldError
			if !errors.As(err, &field) || field.Field != c.field {
				t.Errorf("%s, %s: %v, want a refusal of %s", verb, what, err, c.field)
			}
			if err != nil && (strings.Contains(err.Error(), long) || strings.Contains(err.Error(), broken)) {
				t.Errorf("%s, %s: the error repeats the value", verb, what)
			}
		}
		if c.verb == "" && !maps.Equal(attributes(f.records(t)[onlyRecord(t, f)]), before) {
			t.Errorf("%s: the record was changed", what)
		}
		if c.verb == "modify" { // which an add takes
			if err := d.Destroy(t.Context(), "bob.example.com", nil); err != nil {
				t.Fatal(err)
			}
		}
		if c.verb == "add" {
			if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(false)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.whole(t, "alice.example.com")
}

// onlyRecord is the id of the one instance that is there.
func onlyRecord(t testing.TB, f *fleet) string {
	t.Helper()
	records := f.records(t)
	if len(records) != 1 {
		t.Fatalf("there are %d records", len(records))
	}
	for id := range records {
		return id
	}
	return ""
}

// TestChangeIsNotChanged: what the caller hands in is as before after the call.
func TestChangeIsNotChanged(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	d := f.door(t)
	change := lifecycle.Change{
		Aliases: &[]string{"AL.example.com"}, OldDomain: ptr("OLD.example.com"), BlockingReason: ptr(" MOVING "),
		Settings: map[string]string{"context": "beta", "offer": "x"},
	}
	d.add(t, "alice.example.com", change)
	if _, err := d.Modify(t.Context(), "alice.example.com", change); err != nil {
		t.Fatal(err)
	}
	if (*change.Aliases)[0] != "AL.example.com" || *change.OldDomain != "OLD.example.com" || *change.BlockingReason != " MOVING " || len(change.Settings) != 2 || change.ContextName != nil {
		t.Errorf("change: %+v", change)
	}
}

// TestClusters: databases go to the cluster that was asked for, or to an open one, and
// a destroy finds them there.
func TestClusters(t *testing.T) {
	t.Parallel()
	f, second := embeddedFleet(t), embeddedFleet(t)
	o, d := f.options(t)
	var err error
	o.Clusters, err = lifecycle.NewClusters(map[int]lifecycle.Member{0: {Cluster: f.store, Closed: true}, 3: {Cluster: second.store}})
	if err != nil {
		t.Fatal(err)
	}
	d.Service = lifecycle.New(o)
	only := f.door(t) // knows the main cluster alone
	inst := d.add(t, "alice.example.com", lifecycle.Change{})
	if inst.Cluster() != 3 || len(second.databases(t)) != 16 || len(f.databases(t)) != 0 {
		t.Errorf("the instance is on cluster %d", inst.Cluster())
	}
	if inst := d.add(t, "bob.example.com", lifecycle.Change{CouchCluster: ptr(0)}); inst.Cluster() != 0 || inst.Has("couch_cluster") || len(f.databases(t)) != 16 {
		t.Errorf("the other is on cluster %d", inst.Cluster())
	}
	is(t, only.Destroy(t.Context(), "alice.example.com", nil), tenancy.ErrUnavailable, "a destroy without the cluster")
	if state := f.records(t)[inst.ID()].State(); state != tenancy.Active {
		t.Errorf("a destroy that cannot be done left the instance %s", state)
	}
	for _, name := range []string{"alice.example.com", "bob.example.com"} {
		if err := d.Destroy(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	f.whole(t)
	if n := len(second.databases(t)); n != 0 {
		t.Errorf("%d databases are left on the other cluster", n)
	}
	if _, err := lifecycle.NewClusters(map[int]lifecycle.Member{1: {Cluster: f.store}}); err == nil {
		t.Error("clusters without a main one are taken")
	}
	o.Clusters, err = lifecycle.NewClusters(map[int]lifecycle.Member{0: {Cluster: f.store, Closed: true}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = lifecycle.New(o).Add(t.Context(), domain(t, "carol.example.com"), lifecycle.Change{}, nil)
	is(t, err, tenancy.ErrConflict, "an add with every cluster closed")
}
