// This file holds the tests of the choice of language, and that no language lacks a message.

package pages_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

func TestLanguage(t *testing.T) {
	s := builtIn(t)
	for _, c := range []struct {
		locale, accept, want string
		decided              bool
	}{
		{"", "", "en", false},
		{"fr", "", "fr", true},
		{"fr-CA", "de", "fr", true},
		{"fr_FR", "de", "fr", true},
		{"fr_FR.UTF-8", "de", "fr", true},
		{"de_DE@euro", "", "de", true},
		{"FR", "", "fr", true},
		{"en-GB", "fr", "en", true},
		{"es-419", "", "es", true},
		{"nl-BE", "", "nl", true},
		{"ja-JP", "en", "ja", true},
		{"pt-BR", "fr", "fr", false}, // a language that we do not have
		{"ca", "fr", "fr", false},    // Spanish would be a guess
		{"zz-nonsense!", "de", "de", false},
		{"C", "de", "de", false},
		{strings.Repeat("fr-", 100), "de", "de", false},
		{"", "fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr", false},
		{"", "en;q=0.3, ja;q=0.9", "ja", false},
		{"", "pt-BR, nl;q=0.5, en;q=0.4", "nl", false},
		{"", "zh-CN,zh;q=0.9", "en", false},
		{"", "de;q=0, es;q=0.1", "es", false},
		{"", "*", "en", false},
		{"", "not a language!!", "en", false},
		{"", "ja," + strings.Repeat("fr-FR;q=0.1,", 10_000), "ja", false},
		{"", strings.Repeat("-", 100_000), "en", false},
	} {
		w := ask(t, s, pages.Refusal{Locale: c.locale}, "Accept-Language", c.accept)
		if got := w.Header().Get("Content-Language"); got != c.want {
			t.Errorf("locale %.20q, Accept-Language %.40q: %s, want %s", c.locale, c.accept, got, c.want)
		}
		if !strings.Contains(w.Body.String(), `<html lang="`+c.want+`" dir="ltr">`) {
			t.Errorf("locale %.20q: the page is in another language than its header", c.locale)
		}
		if varies := slices.Contains(w.Header().Values("Vary"), "Accept-Language"); varies == c.decided {
			t.Errorf("locale %.20q: Vary says %v", c.locale, varies)
		}
	}
}

// Read without the package's own loader, so that a slip there cannot hide a gap.
func TestNoLanguageLacksAMessage(t *testing.T) {
	read := func(name string) map[string]map[string]string {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var messages map[string]map[string]string
		if err := toml.Unmarshal(content, &messages); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return messages
	}
	english := read("builtin/locales/active.en.toml")
	for _, code := range append(pages.Codes(), "BLOCKED") {
		for _, id := range []string{"title", "detail", "advice"} {
			if english[code][id] == "" {
				t.Errorf("English lacks %s.%s", code, id)
			}
		}
	}
	var languages []string
	err := filepath.WalkDir("builtin/locales", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		language := strings.Split(entry.Name(), ".")[1]
		languages = append(languages, language)
		messages := read(name)
		if len(messages) != len(english) {
			t.Errorf("%s has %d tables, English has %d", name, len(messages), len(english))
		}
		for table, ids := range english {
			for id, text := range ids {
				translated := messages[table][id]
				switch {
				case strings.TrimSpace(translated) == "":
					t.Errorf("%s lacks %s.%s", name, table, id)
				case table != "label" && language != "en" && translated == text:
					t.Errorf("%s has %s.%s in English", name, table, id)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(languages)
	if want := []string{"de", "en", "es", "fr", "ja", "nl"}; !slices.Equal(languages, want) {
		t.Errorf("languages %v, want %v", languages, want)
	}
}

// Every code in every language reaches the visitor, in its own words.
func TestEveryCodeInEveryLanguage(t *testing.T) {
	s := builtIn(t)
	seen := make(map[string]string)
	for _, locale := range []string{"en", "fr", "es", "de", "nl", "ja"} {
		for _, code := range append(pages.Codes(), "Some reason.") {
			f := pages.Refusal{Code: code, Locale: locale}
			got := decodeError(t, ask(t, s, f, "Accept", typeJSON).Body.Bytes())
			if got.Title == "" || got.Detail == "" {
				t.Errorf("%s %s: %+v", locale, code, got)
			}
			if other, ok := seen[got.Detail]; ok {
				t.Errorf("%s %s says the same as %s", locale, code, other)
			}
			seen[got.Detail] = locale + " " + code
			text := visibleText(t, ask(t, s, f, "Accept", "text/html").Body.String())
			if !strings.Contains(text, got.Title) || !strings.Contains(text, got.Detail) {
				t.Errorf("%s %s: the page says something else than the JSON", locale, code)
			}
		}
	}
}
