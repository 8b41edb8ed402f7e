// This file holds the rendering of a refusal in each form, and the fallback to the built-in page.

package pages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strconv"
	texttemplate "text/template"
)

// page is what templates see. docs/pages.md documents every field.
type page struct {
	Lang    string       // language of the page, BCP 47
	Dir     string       // ltr or rtl
	Status  int          // HTTP status
	Code    string       // one of Codes, empty for an operator's own reason
	Kind    kind         // which mark and tint: payment, blocked, deleting, unknown, moving
	Title   string       // one short sentence
	Detail  string       // what happened
	Advice  string       // what to do
	Host    string       // the name asked for, may be empty
	Reason  string       // an operator's own reason, else empty
	Support *contact     // nil when there is none
	Label   labels       // the words Address, Reason, Support, Code
	Style   template.CSS // style.css
}

// templates is one complete set of templates with its style sheet. Read only once loaded.
type templates struct {
	html   *template.Template
	byCode map[string]*template.Template // pages of one code
	text   *texttemplate.Template
	style  template.CSS
	csp    string // for HTML
	// sources are the files as they were read, for the lines in errors.
	sources map[string]string
}

// cspNothing is the policy of the forms that are no page.
const cspNothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (f Refusal) page(t *texts) page {
	m := t.messages[tableOf(f.Code)]
	p := page{
		Lang: t.lang, Dir: t.dir, Status: f.Status, Kind: traits[tableOf(f.Code)].kind,
		Title: m.Title, Detail: m.Detail, Advice: m.Advice, Host: f.Host, Label: t.labels,
	}
	if known(f.Code) {
		p.Code = f.Code
	} else {
		p.Reason = f.Code
	}
	if f.Support != "" {
		c := contactOf(f.Support)
		p.Support = &c
	}
	return p
}

// render writes f into buf and gives the policy that goes with it. It always
// leaves a whole body there; the error is one of an operator's template.
func (s *Set) render(buf *bytes.Buffer, as form, f Refusal, t *texts) (csp string, err error) {
	if as == formJSON || as == formJSONAPI {
		renderJSON(buf, f, t)
		return cspNothing, nil
	}
	p := f.page(t)
	if s.custom != nil {
		csp, err = s.custom.render(buf, as, p)
		if err == nil {
			return csp, nil
		}
		err = fmt.Errorf("%w: %w", ErrTemplate, err)
		buf.Reset()
	}
	csp, builtinErr := s.builtin.render(buf, as, p)
	if builtinErr != nil {
		// The tests render every built-in page, so this is a broken build; a
		// visitor gets a sentence all the same.
		buf.Reset()
		fmt.Fprintf(buf, "%d %s\n", p.Status, template.HTMLEscapeString(p.Title))
		return cspNothing, builtinErr
	}
	return csp, err
}

func (ts *templates) render(w io.Writer, as form, p page) (csp string, err error) {
	if as == formText {
		return cspNothing, ts.text.Execute(w, p)
	}
	p.Style = ts.style
	return ts.csp, ts.htmlOf(p.Code).Execute(w, p)
}

func (ts *templates) htmlOf(code string) *template.Template {
	if t, ok := ts.byCode[code]; ok {
		return t
	}
	return ts.html
}

// document is a JSON:API document with one error.
type document struct {
	Errors [1]failure `json:"errors"`
}

type failure struct {
	Status string `json:"status"`
	Code   string `json:"code"` // the reason as it is, also an operator's own
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

func renderJSON(buf *bytes.Buffer, f Refusal, t *texts) {
	m := t.messages[tableOf(f.Code)]
	// Encoding strings into a buffer cannot fail.
	_ = json.NewEncoder(buf).Encode(document{Errors: [1]failure{{
		Status: strconv.Itoa(f.Status), Code: f.Code, Title: m.Title, Detail: m.Detail,
	}}})
}
