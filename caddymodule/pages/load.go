// This file holds New: reading the built-in files and an operator's folder, and trying every page once.

package pages

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	texttemplate "text/template"
	"unicode/utf8"
)

//go:embed builtin
var embedded embed.FS

// maxFile bounds each file of an operator's folder, in bytes.
const maxFile = 1 << 20

// The files that a folder may have, besides refusal.CODE.html and locales/*.toml.
const (
	htmlFile   = "refusal.html"
	textFile   = "refusal.txt"
	marksFile  = "marks.html"
	styleFile  = "style.css"
	localesDir = "locales"
)

// New loads the built-in pages and, unless folder is empty, lets an operator's
// files take the place of any of them (docs/pages.md). Every page is tried in
// every language here, so that a broken one stops a configuration from
// loading and not a visitor; the error names the file and the line.
// Nothing of the folder is read after New returns.
func New(folder string) (*Set, error) {
	files, err := fs.Sub(embedded, "builtin")
	if err != nil {
		return nil, err
	}
	own, messages, err := load(files)
	if err != nil {
		return nil, fmt.Errorf("built-in pages: %w", err)
	}
	s := &Set{memory: newMemory()}
	if s.builtin, err = parse(own); err != nil {
		return nil, fmt.Errorf("built-in pages: %w", err)
	}
	if folder != "" {
		custom, customMessages, err := load(os.DirFS(folder))
		if err != nil {
			return nil, fmt.Errorf("pages folder %s: %w", folder, err)
		}
		if len(custom) == 0 && len(customMessages) == 0 {
			return nil, fmt.Errorf("pages folder %s: it has none of %s, refusal.CODE.html, %s, %s, %s/*.toml", folder, htmlFile, textFile, styleFile, localesDir)
		}
		for name, content := range own {
			if _, ok := custom[name]; !ok {
				custom[name] = content
			}
		}
		if s.custom, err = parse(custom); err != nil {
			return nil, fmt.Errorf("pages folder %s: %w", folder, err)
		}
		messages = append(messages, customMessages...)
	}
	if s.languages, err = speak(messages); err != nil {
		return nil, fmt.Errorf("pages folder %s: %w", folder, err)
	}
	if s.custom != nil {
		if err := s.custom.try(s.languages); err != nil {
			return nil, fmt.Errorf("pages folder %s: %w", folder, err)
		}
	}
	return s, nil
}

// messageFile is one file of locales/.
type messageFile struct {
	name    string
	content []byte
}

// speak makes languages of message files, later files over earlier ones.
func speak(files []messageFile) (*languages, error) {
	c := newCatalogue()
	for _, f := range files {
		if err := c.add(f.name, f.content); err != nil {
			return nil, err
		}
	}
	return c.languages()
}

// load reads the files that a folder may have. Others are left alone, unless
// their name shows that a page was meant.
func load(folder fs.FS) (files map[string]string, messages []messageFile, err error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, nil, err
	}
	files = make(map[string]string)
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case name == htmlFile, name == textFile, name == styleFile, name == marksFile:
		case strings.HasPrefix(name, "refusal."):
			code := strings.TrimSuffix(strings.TrimPrefix(name, "refusal."), ".html")
			if path.Ext(name) != ".html" || !known(code) {
				return nil, nil, fmt.Errorf("%s:1: pages of one code are named refusal.CODE.html, with one of %s", name, strings.Join(codeOrder, ", "))
			}
		default:
			continue
		}
		if files[name], err = readText(folder, name); err != nil {
			return nil, nil, err
		}
	}
	entries, err = fs.ReadDir(folder, localesDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, entry := range entries {
		if !isMessageFile(entry.Name()) {
			continue
		}
		name := path.Join(localesDir, entry.Name())
		content, err := readText(folder, name)
		if err != nil {
			return nil, nil, err
		}
		messages = append(messages, messageFile{name, []byte(content)})
	}
	return files, messages, nil
}

// readText reads a bounded UTF-8 file with line feeds alone: a browser drops
// carriage returns before it hashes a style sheet, so they would break its hash.
func readText(folder fs.FS, name string) (string, error) {
	file, err := folder.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: it is not a regular file", name)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxFile {
		return "", fmt.Errorf("%s: it is larger than 1 MiB", name)
	}
	for i, line := range strings.Split(string(content), "\n") {
		if !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
			return "", fmt.Errorf("%s:%d: this line is not UTF-8 text", name, i+1)
		}
	}
	text := strings.TrimPrefix(string(content), "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.ReplaceAll(text, "\r", "\n"), nil
}

// parse makes templates of a complete set of files. Errors begin with the name and the line.
func parse(files map[string]string) (*templates, error) {
	if err := checkStyle(files[styleFile]); err != nil {
		return nil, err
	}
	ts := &templates{sources: files, style: template.CSS(files[styleFile]), byCode: make(map[string]*template.Template)}
	ts.csp = policy(files)
	marks, err := template.New(marksFile).Parse(files[marksFile])
	if err != nil {
		return nil, templateError(err)
	}
	for name, content := range files {
		if path.Ext(name) != ".html" || name == marksFile {
			continue
		}
		// Each page is a set of its own, so that two of them may define the same block.
		shared, err := marks.Clone()
		if err != nil {
			return nil, err
		}
		t, err := shared.New(name).Parse(content)
		if err != nil {
			return nil, templateError(err)
		}
		if name == htmlFile {
			ts.html = t
			continue
		}
		ts.byCode[strings.TrimSuffix(strings.TrimPrefix(name, "refusal."), ".html")] = t
	}
	if ts.text, err = texttemplate.New(textFile).Parse(files[textFile]); err != nil {
		return nil, templateError(err)
	}
	return ts, nil
}

// templateError takes the word "template" off an error, so that it begins with the file and the line.
func templateError(err error) error {
	text := err.Error()
	for _, prefix := range []string{"html/template:", "html/template: ", "template: "} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			return errors.New(strings.TrimSpace(rest))
		}
	}
	return err
}

// samples are the refusals with which pages are tried: each code and a
// reason, with all facts and with none.
func samples() []Refusal {
	var all []Refusal
	for _, code := range append(Codes(), "An operator's own reason") {
		all = append(all,
			Refusal{Code: code, Host: "alice.example.com", Support: "help@example.com"},
			Refusal{Code: code, Host: "alice.example.com", Support: "https://example.com/help"},
			Refusal{Code: code})
	}
	return slices.Clip(all)
}

// try renders every page in every language, and checks that the policy lets through what is on it.
func (ts *templates) try(l *languages) error {
	for _, t := range l.texts {
		for _, f := range samples() {
			p := f.cleaned().page(t)
			if _, err := ts.render(io.Discard, formText, p); err != nil {
				return templateError(err)
			}
			var out strings.Builder
			if _, err := ts.render(&out, formHTML, p); err != nil {
				return templateError(err)
			}
			if err := ts.checkPage(ts.htmlOf(p.Code).Name(), out.String()); err != nil {
				return err
			}
		}
	}
	return nil
}
