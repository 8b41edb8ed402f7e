// Contexts: what new instances of a context have, and the apps that they get.

package lifecycle_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// appsOf are the apps of an instance, and the registries of one of them.
func (f *fleet) appsOf(t testing.TB, inst *tenancy.Instance) (slugs, registries []string) {
	t.Helper()
	for _, raw := range f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.apps")) {
		var doc struct {
			Slug string
			From []string
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		slugs, registries = append(slugs, doc.Slug), doc.From
	}
	slices.Sort(slugs)
	return slugs, registries
}

// TestContexts: a context's own word, else that of the default one, else the built-in one;
// and what is asked for goes before all.
func TestContexts(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	out := newOutside()
	d := out.door(t, f)
	settings := out.settings(nil)
	settings.Contexts = map[string]lifecycle.Context{
		lifecycle.DefaultContext: {Locale: "fr", Apps: []string{"drive"}, DiskQuota: 5000, Registries: []string{"https://r0.example"}},
		"bare":                   {Directories: ptr(false)},
		"beta":                   {Locale: "de", Apps: []string{"notes", "photos"}, DiskQuota: 7000, Registries: []string{"https://r1.example", "https://r0.example"}},
		"none":                   {Apps: []string{}},
	}
	d.Use(settings)
	for name, c := range map[string]struct {
		change      lifecycle.Change
		locale      string
		quota       int64
		apps        []string
		registries  []string
		directories []string
	}{
		"default": {locale: "fr", quota: 5000, apps: []string{"drive"}, registries: []string{"https://r0.example"}, directories: []string{"/.cozy_trash", "/Administratif", "/Photos"}},
		"unknown": {change: lifecycle.Change{ContextName: ptr("unknown")}, locale: "fr", quota: 5000, apps: []string{"drive"}, registries: []string{"https://r0.example"}, directories: []string{"/.cozy_trash", "/Administratif", "/Photos"}},
		"bare":    {change: lifecycle.Change{ContextName: ptr("bare")}, locale: "fr", quota: 5000, apps: []string{"drive"}, registries: []string{"https://r0.example"}, directories: []string{"/.cozy_trash"}},
		"beta":    {change: lifecycle.Change{ContextName: ptr("beta")}, locale: "de", quota: 7000, apps: []string{"notes", "photos"}, registries: []string{"https://r1.example", "https://r0.example"}},
		"none":    {change: lifecycle.Change{ContextName: ptr("none")}, locale: "fr", quota: 5000},
		"setting": {change: lifecycle.Change{Settings: map[string]string{"context": "beta"}}, locale: "de", quota: 7000, apps: []string{"notes", "photos"}, registries: []string{"https://r1.example", "https://r0.example"}},
		"asked": {
			change: lifecycle.Change{ContextName: ptr("beta"), Locale: ptr("en"), Apps: &[]string{"store"}, DiskQuota: ptr(int64(1))},
			locale: "en", quota: 1, apps: []string{"store"}, registries: []string{"https://r1.example", "https://r0.example"}, directories: []string{"/.cozy_trash", "/Administrative", "/Photos"},
		},
		"without": {change: lifecycle.Change{ContextName: ptr("beta"), Apps: &[]string{}, DiskQuota: ptr(int64(0))}, locale: "de"},
	} {
		inst := d.add(t, name+".example.com", c.change)
		apps, registries := f.appsOf(t, inst)
		if inst.Locale() != c.locale || inst.DiskQuota() != c.quota || !slices.Equal(apps, c.apps) || !slices.Equal(registries, c.registries) {
			t.Errorf("%s: locale %s, quota %d, apps %q of %q; want %+v", name, inst.Locale(), inst.DiskQuota(), apps, registries, c)
		}
		made := out.files[name+".example.com"]
		for _, dir := range c.directories {
			if !slices.Contains(made, dir) || len(c.directories) == 1 && len(made) != 1 {
				t.Errorf("%s: the directories are %q, want %q", name, made, c.directories)
			}
		}
		if n := len(f.docs(t, provision.DatabaseName(inst.Prefix(), "io.cozy.files"))); len(made)+1 != n-11 {
			t.Errorf("%s: %d directories on disk, and %d documents of 11 designs", name, len(made), n)
		}
	}
	f.finds(t, d)
}

// TestApps: one that fails does not fail the instance, and can be installed later; no app
// can be without files.
func TestApps(t *testing.T) {
	t.Parallel()
	f := embeddedFleet(t)
	out := newOutside()
	d := out.door(t, f)
	added, err := d.Add(t.Context(), domain(t, "alice.example.com"), lifecycle.Change{Apps: &[]string{"drive", brokenApp, "photos"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(added.Failed, []string{brokenApp}) || len(added.Warnings) != 1 || !strings.Contains(added.Warnings[0], brokenApp) {
		t.Errorf("failed %q, warnings %q", added.Failed, added.Warnings)
	}
	if apps, _ := f.appsOf(t, added.Instance); !slices.Equal(apps, []string{"drive", "photos"}) {
		t.Errorf("the apps are %q", apps)
	}
	var failed []string
	for _, step := range f.operations(t)["add-"+added.ID()].Steps {
		if step.Error != "" {
			failed = append(failed, step.Name)
		}
	}
	if !slices.Equal(failed, []string{"app " + brokenApp}) {
		t.Errorf("the journal says that there failed %q", failed)
	}
	// Twice, which replaces what is there.
	for range 2 {
		again, err := d.InstallApps(t.Context(), "alice.example.com", []string{"drive", "notes", brokenApp}, nil)
		if err != nil || !slices.Equal(again.Failed, []string{brokenApp}) {
			t.Errorf("failed %q (%v)", again.Failed, err)
		}
	}
	if apps, _ := f.appsOf(t, added.Instance); !slices.Equal(apps, []string{"drive", "notes", "photos"}) {
		t.Errorf("the apps are %q", apps)
	}
	for what, c := range map[string]struct {
		door *door
		apps []string
	}{"a bad name": {d, []string{"../drive"}}, "none": {d, nil}, "without files": {f.door(t), []string{"drive"}}} {
		before := f.everything(t)
		_, err := c.door.InstallApps(t.Context(), "alice.example.com", c.apps, nil)
		if field, ok := errorsAs[*tenancy.FieldError](err); !ok || field.Field != "Apps" {
			t.Errorf("%s: %v", what, err)
		}
		if len(c.apps) == 0 {
			continue
		}
		_, err = c.door.Add(t.Context(), domain(t, "bob.example.com"), lifecycle.Change{Apps: &c.apps}, nil)
		if field, ok := errorsAs[*tenancy.FieldError](err); !ok || field.Field != "Apps" {
			t.Errorf("%s: an add: %v", what, err)
		}
		if after := f.everything(t); !reflect.DeepEqual(before, after) {
			t.Errorf("%s: the store was changed", what)
		}
	}
	if _, err := d.Modify(t.Context(), "alice.example.com", lifecycle.Change{Deleting: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = d.InstallApps(t.Context(), "alice.example.com", []string{"drive"}, nil)
	is(t, err, tenancy.ErrConflict, "apps of an instance on its way out")
}
