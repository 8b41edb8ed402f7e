// This file holds what all tests share: the leak check, and asking a Set as a client does.

package pages_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/net/html"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// builtIn gives the Set without an operator's folder.
func builtIn(t testing.TB) *pages.Set {
	t.Helper()
	s, err := pages.New("")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// folder writes files into a new folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ask sends a GET with headers, given as pairs, through Write.
func ask(t testing.TB, s *pages.Set, f pages.Refusal, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://alice.example.com/some/page", nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	if err := s.Write(w, r, f); err != nil {
		t.Fatalf("Write: %v", err)
	}
	return w
}

// visibleText gives what a person reads of an HTML document, title included.
func visibleText(t testing.TB, document string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" && n.Parent.Data != "script" {
			b.WriteString(n.Data)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// elements counts the elements of a document by name.
func elements(t testing.TB, document string) map[string]int {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			count[n.Data]++
		}
	}
	return count
}

// apiError is one error of a JSON:API document.
type apiError struct{ Status, Code, Title, Detail string }

func decodeError(t testing.TB, body []byte) apiError {
	t.Helper()
	var document struct{ Errors []apiError }
	if err := json.Unmarshal(body, &document); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	if len(document.Errors) != 1 {
		t.Fatalf("%d errors in %q, want 1", len(document.Errors), body)
	}
	return document.Errors[0]
}
