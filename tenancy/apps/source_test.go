// Sources: what people write, and what is no app.

package apps_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/apps"
)

func TestParseSource(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]apps.Source{
		"drive":                                  {Slug: "drive", Channel: "stable"},
		" drive ":                                {Slug: "drive", Channel: "stable"},
		"drive/beta":                             {Slug: "drive", Channel: "beta"},
		"drive/dev":                              {Slug: "drive", Channel: "dev"},
		"drive/1.2.3":                            {Slug: "drive", Version: "1.2.3"},
		"drive/1.2.3-beta.4":                     {Slug: "drive", Version: "1.2.3-beta.4"},
		"drive/0.0.0-dev." + sha:                 {Slug: "drive", Version: "0.0.0-dev." + sha},
		"registry://drive":                       {Slug: "drive", Channel: "stable"},
		"registry://drive/stable":                {Slug: "drive", Channel: "stable"},
		"registry://my-app-2/1.0.0+build.5":      {Slug: "my-app-2", Version: "1.0.0+build.5"},
		"2fa":                                    {Slug: "2fa", Channel: "stable"},
		strings.Repeat("a", 64):                  {Slug: strings.Repeat("a", 64), Channel: "stable"},
		"drive/1.0.0-" + strings.Repeat("a", 94): {Slug: "drive", Version: "1.0.0-" + strings.Repeat("a", 94)},
	} {
		if got, err := apps.ParseSource(s); err != nil || got != want {
			t.Errorf("%q is %+v (%v)", s, got, err)
		}
	}
	for _, s := range []string{
		"", " ", "/", "Drive", "drive_2", "-drive", "drive-", "a b", "a/b/c", "drive/", "drive/latest", "drive/1", "drive/1.2", "drive/v1.2.3", "drive/01.2.3", "drive/1.2.3/x",
		"drive/../x", "..", "drive?x", "drive#x", "drive%2f", "é", "git://github.com/x/y", "https://example.com/x", "registry://", "registry:///stable", "registry://registry://drive",
		"drive\x00", "drive/1.2.3-", "drive/1.2.3-\n", strings.Repeat("a", 65), "drive/1.0.0-" + strings.Repeat("a", 95),
	} {
		_, err := apps.ParseSource(s)
		var field *tenancy.FieldError
		if !errors.As(err, &field) || field.Field != "Apps" || !strings.Contains(err.Error(), "drive/beta") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

const sha = "0123456789abcdef0123456789abcdef01234567"

// TestParseSources: a list is bounded, and has each app once.
func TestParseSources(t *testing.T) {
	t.Parallel()
	got, err := apps.ParseSources([]string{"drive", " ", "photos/beta", ""})
	if want := []apps.Source{{Slug: "drive", Channel: "stable"}, {Slug: "photos", Channel: "beta"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint("app", i)
	}
	if got, err := apps.ParseSources(many[:100]); err != nil || len(got) != 100 {
		t.Errorf("%d, %v", len(got), err)
	}
	for _, list := range [][]string{many, {"drive", "drive/beta"}, {"drive", "../x"}} {
		_, err := apps.ParseSources(list)
		var field *tenancy.FieldError
		if !errors.As(err, &field) || field.Field != "Apps" {
			t.Errorf("%d apps: %v", len(list), err)
		}
	}
}

// FuzzParseSource: what is taken has one form, and is safe in a path and in a URL.
func FuzzParseSource(f *testing.F) {
	for _, s := range []string{"drive", "drive/beta", "drive/1.2.3-beta.4+x", "registry://drive/stable", "a/b/c", "../x", "drive/..", "registry://registry://a", "a\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := apps.ParseSource(s)
		if err != nil {
			var field *tenancy.FieldError
			if !errors.As(err, &field) {
				t.Fatal(err)
			}
			return
		}
		again, err := apps.ParseSource(got.String())
		if err != nil || again != got || (got.Channel == "") == (got.Version == "") {
			t.Fatalf("%q is %+v, and its form %q is %+v (%v)", s, got, got, again, err)
		}
		if len(got.Slug) > 64 || len(got.Version) > 100 || strings.ContainsAny(got.Slug+got.Version, "/\\%?# \x00") || strings.Contains(got.Slug, ".") {
			t.Fatalf("%q is %+v", s, got)
		}
	})
}
