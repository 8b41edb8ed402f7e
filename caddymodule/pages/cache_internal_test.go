// The memory of rendered pages: it answers as the templates do.

package pages

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestRememberedAsRendered in each form, language and reason, whatever the host is: the
// first time, from memory, and for another host in between.
func TestRememberedAsRendered(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	custom := `{{if eq .Host "special.example.com"}}special{{else}}{{len .Host}} <a href="//{{.Host}}/">{{.Host}}</a>{{end}} {{.Code}}{{.Reason}}`
	if err := os.WriteFile(filepath.Join(folder, "refusal.html"), []byte(custom), 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := []string{
		"", "alice.example.com", "bob.example.com:8443", "münchen.example", "例え.jp", "special.example.com",
		`<script>alert("x")</script>`, "a&b+c'd", "\ue000\ue001", "x\ue000\ue001y", "\u2028", "[2001:db8::1]:80", "\u202eevil",
	}
	codes := append([]string{"", "an operator's own <reason>", hostToken}, Codes()...)
	for _, dir := range []string{"", folder} {
		set, err := New(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range codes {
			for _, texts := range set.languages.texts {
				for as := range form(len(mediaTypes)) {
					for _, support := range []string{"", "help@example.com"} {
						for range 2 {
							for _, host := range hosts {
								f := Refusal{Code: code, Host: host, Support: support}.cleaned()
								var want, got bytes.Buffer
								csp, err := set.render(&want, as, f, texts)
								again, err2 := set.remembered(&got, as, f, texts)
								if err != nil || err2 != nil || csp != again || !bytes.Equal(want.Bytes(), got.Bytes()) {
									t.Fatalf("%q, %q, %s, %v: %v, %v\n%s\n%s", host, code, texts.lang, as, err, err2, want.Bytes(), got.Bytes())
								}
							}
						}
					}
				}
			}
		}
	}
}

// TestMemoryBounds: reasons of operators' own without end are forgotten again.
func TestMemoryBounds(t *testing.T) {
	t.Parallel()
	set, err := New("")
	if err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	for w := range 4 {
		working.Go(func() {
			var buf bytes.Buffer
			for i := range maxRendered {
				buf.Reset()
				if _, err := set.remembered(&buf, formText, Refusal{Code: fmt.Sprint("reason ", w, i), Host: "a.example.com"}.cleaned(), set.languages.texts[0]); err != nil {
					t.Error(err)
				}
				set.form([]string{fmt.Sprint("text/x", w, i)}, false)
				set.languages.pick("", []string{fmt.Sprintf("en-x-%d%d", w, i)})
			}
		})
	}
	working.Wait()
	if n := set.memory.bodies.Len(); n > maxRendered {
		t.Errorf("%d bodies", n)
	}
	if n := set.memory.accepts.Len(); n > maxHeaders {
		t.Errorf("%d header fields", n)
	}
	if n := set.languages.wanted.Len(); n > maxHeaders {
		t.Errorf("%d languages", n)
	}
}
