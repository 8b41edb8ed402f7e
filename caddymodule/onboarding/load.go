// This file holds the loading of the built-in files, and the policy that goes with them.

package onboarding

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io/fs"
	"strings"
	texttemplate "text/template"
)

//go:embed builtin
var embedded embed.FS

// cspNothing is the policy of the answers that are no page.
const cspNothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// load reads templates, style sheet, script and languages.
func (p *Page) load() error {
	files, err := fs.Sub(embedded, "builtin")
	if err != nil {
		return err
	}
	style, err := fs.ReadFile(files, "style.css")
	if err != nil {
		return err
	}
	script, err := fs.ReadFile(files, "script.js")
	if err != nil {
		return err
	}
	// The script has the server's list of passwords that are tried first, so
	// that both judge alike.
	list, err := json.Marshal(common)
	if err != nil {
		return err
	}
	code := strings.Replace(string(script), "COMMON", string(list), 1)
	p.style, p.script = template.CSS(style), template.JS(code)
	html := template.New("").Funcs(template.FuncMap{"json": func(v any) (string, error) {
		out, err := json.Marshal(v)
		return string(out), err
	}})
	if html, err = html.ParseFS(files, "*.html"); err != nil {
		return err
	}
	p.form, p.notice = html.Lookup("form.html"), html.Lookup("notice.html")
	if p.text, err = texttemplate.ParseFS(files, "notice.txt"); err != nil {
		return err
	}
	if p.languages, err = speak(files); err != nil {
		return err
	}
	const rest = "; base-uri 'none'; frame-ancestors 'none'"
	p.noticeCSP = "default-src 'none'; style-src " + hashOf(string(style)) + rest + "; form-action 'none'"
	p.csp = "default-src 'none'; style-src " + hashOf(string(style)) + "; script-src " + hashOf(code) + rest
	return nil
}

// hashOf is the source expression for an inline element with this content (CSP level 3, section 2.3.1).
func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
