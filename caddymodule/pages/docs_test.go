// This file holds the test that docs/pages.md is true.

package pages_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

func TestDocumentation(t *testing.T) {
	content, err := os.ReadFile("../../docs/pages.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, code := range pages.Codes() {
		status := ask(t, builtIn(t), pages.Refusal{Code: code}).Code
		if !regexp.MustCompile("(?m)^\\|[^|]*`" + code + "`[^|]*\\| " + fmt.Sprint(status) + " \\|").MatchString(text) {
			t.Errorf("the table of codes lacks %s, or its status %d", code, status)
		}
	}
	// A template that says every documented field must load, so that no field is made up.
	var all strings.Builder
	for _, row := range regexp.MustCompile("(?m)^\\| (`\\.[^|]*)\\|([^|]*)\\|$").FindAllStringSubmatch(text, -1) {
		for _, field := range regexp.MustCompile("`(\\.[A-Z][A-Za-z.]*)`").FindAllStringSubmatch(row[1]+row[2], -1) {
			if field[1] != ".Style" && !strings.HasPrefix(field[1], ".Support.") {
				all.WriteString("{{" + field[1] + "}}\n")
			}
		}
	}
	if n := strings.Count(all.String(), "\n"); n < 15 {
		t.Errorf("only %d fields are documented", n)
	}
	load(t, map[string]string{"refusal.txt": all.String()})

	example := regexp.MustCompile("(?s)```html\n(.*?)```").FindStringSubmatch(text)
	if example == nil {
		t.Fatal("no example")
	}
	page := ask(t, load(t, map[string]string{"refusal.html": example[1]}), pages.Refusal{Code: "Why not", Support: "help@example.com"}).Body.String()
	if !strings.Contains(page, "<p>Reason: Why not</p>") || !strings.Contains(page, `<a href="mailto:help@example.com">`) {
		t.Errorf("the example: %s", page)
	}
}

func BenchmarkNew(b *testing.B) {
	dir := folder(b, map[string]string{"style.css": "body { color: teal }"})
	for b.Loop() {
		if _, err := pages.New(dir); err != nil {
			b.Fatal(err)
		}
	}
}
