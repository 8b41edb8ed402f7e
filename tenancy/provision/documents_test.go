// Documents: the first ones of an instance, against those of a stack.

package provision_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// own are the documents of one database of a new instance, without its designs.
func own(t testing.TB, spec provision.Spec, doctype string) map[string]map[string]any {
	t.Helper()
	name := provision.DatabaseName(spec.Prefix, doctype)
	for _, db := range provision.Databases(spec) {
		if db.Name == name {
			return plain(t, byID(t, db.Docs))
		}
	}
	t.Fatalf("there is no database %s", name)
	return nil
}

func plain(t testing.TB, docs map[string]json.RawMessage) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for id, raw := range docs {
		if strings.HasPrefix(id, "_design/") {
			continue
		}
		var doc map[string]any
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		out[id] = doc
	}
	return out
}

// timeless leaves out what differs between any two runs: ids that are made up,
// revisions, and times, whose form is checked instead.
func timeless(t testing.TB, doc map[string]any) map[string]any {
	t.Helper()
	out := maps.Clone(doc)
	delete(out, "_rev")
	delete(out, "_id")
	for field, value := range out {
		switch field {
		case "created_at", "updated_at", "createdAt", "updatedAt":
			if s, ok := value.(string); !ok || !moment.MatchString(s) {
				t.Errorf("%s is %v, not a moment", field, value)
			}
			out[field] = "then"
		case "cozyMetadata":
			out[field] = timeless(t, value.(map[string]any))
		}
	}
	return out
}

var moment = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$`)

// TestDocumentsAsStack: each document that a stack made at the creation of an
// instance is made here with the same fields.
func TestDocumentsAsStack(t *testing.T) {
	t.Parallel()
	alice := aliceSpec
	alice.Email, alice.PublicName = "a@b.c", "Alice"
	for file, spec := range map[string]provision.Spec{"alice_en_onboarded.json": alice, "bob_fr_not_onboarded.json": bobSpec} {
		dumped := readDump(t, file)
		for _, doctype := range []string{"io.cozy.files", "io.cozy.contacts", "io.cozy.settings"} {
			made := own(t, spec, doctype)
			for id, doc := range plain(t, dumped[provision.DatabaseName(spec.Prefix, doctype)]) {
				if id == "io.cozy.settings.bitwarden" { // comes with a passphrase
					continue
				}
				want, found := timeless(t, doc), false
				for madeID, got := range made {
					fixed := strings.HasPrefix(id, "io.cozy.")
					found = found || (!fixed || madeID == id) && reflect.DeepEqual(timeless(t, got), want)
				}
				if !found {
					t.Errorf("%s %s: nothing made is like %v", file, doctype, want)
				}
			}
		}
	}
}

// TestDirectories: the directories of each language, each in its parent and under
// its parent's path; languages without names of their own get the English ones.
func TestDirectories(t *testing.T) {
	t.Parallel()
	english := []string{"/", "/.cozy_trash", "/Administrative", "/Photos", "/Photos/Backed up from my mobile", "/Photos/Uploaded from Cozy Photos"}
	for locale, want := range map[string][]string{
		"en":      english,
		"en-US":   english,
		"it":      english,
		"zh-Hant": english,
		"":        english,
		"!":       english,
		"fr":      {"/", "/.cozy_trash", "/Administratif", "/Photos", "/Photos/Envoyées depuis Cozy Photos", "/Photos/Sauvegardées depuis mon mobile"},
		"fr-CA":   {"/", "/.cozy_trash", "/Administratif", "/Photos", "/Photos/Envoyées depuis Cozy Photos", "/Photos/Sauvegardées depuis mon mobile"},
		"es":      {"/", "/.cozy_trash", "/Administrativo", "/Fotos", "/Fotos/Copia de seguridad de mi móvil", "/Fotos/Subidas desde Cozy Photos"},
		"de":      {"/", "/.cozy_trash", "/Fotos", "/Fotos/Aus Cozy Photos hochgeladen", "/Fotos/Von meinem Handy gesichert", "/Verwaltung"},
		"nl":      {"/", "/.cozy_trash", "/Administratie", "/Foto’s", "/Foto’s/Back-up van mijn mobiel", "/Foto’s/Geüpload vanuit Cozy Photos"},
		"ja":      {"/", "/.cozy_trash", "/写真", "/写真/Cozy Photosからアップロード", "/写真/モバイルからバックアップ", "/書類"},
	} {
		spec := bobSpec
		spec.Locale = locale
		dirs := own(t, spec, "io.cozy.files")
		var paths []string
		for id, dir := range dirs {
			path := dir["path"].(string)
			paths = append(paths, path)
			if id == provision.RootID {
				continue
			}
			parent := dirs[dir["dir_id"].(string)]
			if parent == nil {
				t.Errorf("%s: %s is in no directory", locale, path)
				continue
			}
			if want := strings.TrimSuffix(parent["path"].(string), "/") + "/" + dir["name"].(string); path != want {
				t.Errorf("%s: the path is %s, want %s", locale, path, want)
			}
		}
		slices.Sort(paths)
		slices.Sort(want)
		if !slices.Equal(paths, want) {
			t.Errorf("%s: %q, want %q", locale, paths, want)
		}
	}
}

// TestSettings: only what was given is in the settings, and what has a field of its
// own wins over a further setting of the same name.
func TestSettings(t *testing.T) {
	t.Parallel()
	spec := bobSpec
	spec.Email, spec.Timezone, spec.Phone = "bob@example.com", "Europe/Paris", "+33 1 23 45 67 89"
	spec.Settings = map[string]string{"offer": "freemium", "email": "other@example.com"}
	want := map[string]any{
		"_id": "io.cozy.settings.instance", "email": "bob@example.com", "tz": "Europe/Paris",
		"phone": "+33 1 23 45 67 89", "offer": "freemium",
	}
	if got := own(t, spec, "io.cozy.settings")[provision.SettingsID]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestContactPhone: a number goes into the owner's contact.
func TestContactPhone(t *testing.T) {
	t.Parallel()
	spec := bobSpec
	spec.Phone = "+33 1 23 45 67 89"
	for _, contact := range own(t, spec, "io.cozy.contacts") {
		want := []any{map[string]any{"number": spec.Phone, "primary": true}}
		if !reflect.DeepEqual(contact["phone"], want) || contact["me"] != true {
			t.Errorf("contact: %v", contact)
		}
	}
}

// TestSameTwice: two runs for one instance write the same ids and the same bytes, and
// two instances share no made-up id.
func TestSameTwice(t *testing.T) {
	t.Parallel()
	all := func(spec provision.Spec) map[string]string {
		out := map[string]string{}
		for _, db := range provision.Databases(spec) {
			for id, raw := range byID(t, db.Docs) {
				out[db.Name+" "+id] = string(raw)
			}
		}
		return out
	}
	first := all(bobSpec)
	if !maps.Equal(first, all(bobSpec)) {
		t.Error("two runs differ")
	}
	other := bobSpec
	other.ID = aliceSpec.ID
	second := all(other)
	for key := range first {
		if _, id, _ := strings.Cut(key, " "); !strings.Contains(id, ".") && !strings.HasPrefix(id, "_design/") && second[key] != "" {
			t.Errorf("two instances have %s", key)
		}
	}
}

// TestDocID: ids stay what they were in the releases before, and have the form
// of CouchDB's own.
func TestDocID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ instance, name, want string }{
		{"4360d8f952460851362b23592c0039bf", "me", "b0cb9ace3b2ba34cce9019704a667e39"},
		{"4360d8f952460851362b23592c0039bf", "photos", "542c380360205ab535fb27cfcaa822ac"},
		{"", "", "6e340b9cffb37a989ca544e6bb780a2c"},
	} {
		got := provision.DocID(c.instance, c.name)
		if got != c.want {
			t.Errorf("DocID(%q, %q) is %s, want %s", c.instance, c.name, got, c.want)
		}
	}
	if provision.DocID("a", "bc") == provision.DocID("ab", "c") {
		t.Error("two pairs that read alike in a row have one id")
	}
}

// TestDatabaseName: names as a stack makes them, also for instances whose prefix is
// their domain.
func TestDatabaseName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ prefix, doctype, want string }{
		{"cozy175bd934f9537894ecdde49452338bdf", "io.cozy.files", "cozy175bd934f9537894ecdde49452338bdf/io-cozy-files"},
		{"cozy175bd934f9537894ecdde49452338bdf", "com.bitwarden.ciphers", "cozy175bd934f9537894ecdde49452338bdf/com-bitwarden-ciphers"},
		{"alice.example.com", "io.cozy.oauth.clients", "alice-example-com/io-cozy-oauth-clients"},
		{"alice.localhost:8080", "io.cozy.files", "alice-localhost-8080/io-cozy-files"},
		{"p", "io.cozy.Upper:Case", "p/io-cozy-upper-case"},
	} {
		got := provision.DatabaseName(c.prefix, c.doctype)
		if got != c.want {
			t.Errorf("DatabaseName(%q, %q) is %q, want %q", c.prefix, c.doctype, got, c.want)
		}
		if !strings.HasPrefix(got, provision.DatabasePrefix(c.prefix)) {
			t.Errorf("%q does not begin with %q", got, provision.DatabasePrefix(c.prefix))
		}
	}
}
