// This file holds one visit: its language and form, and the answers written for it.

package onboarding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// notice is what a visitor is told instead of the form.
type notice struct {
	code   string // for machines, and of the messages
	status int
}

// The notices. An instance that is not set up yet answers 403: the request is
// understood and refused, whoever sends it. 401 would ask for credentials that
// nobody has yet, 404 would say that there is no such site, and 503 would have
// monitoring call somebody, though all is well and only the owner can change it.
var (
	notOnboarded     = notice{"NOT_ONBOARDED", http.StatusForbidden}
	linkInvalid      = notice{"LINK_INVALID", http.StatusForbidden} // malformed, wrong and used tokens alike
	crossSiteForm    = notice{"CROSS_SITE", http.StatusForbidden}
	badForm          = notice{"BAD_FORM", http.StatusBadRequest}
	methodNotAllowed = notice{"METHOD_NOT_ALLOWED", http.StatusMethodNotAllowed}
	tooManyRequests  = notice{"TOO_MANY_REQUESTS", http.StatusTooManyRequests}
	unavailable      = notice{"UNAVAILABLE", http.StatusServiceUnavailable}
)

// as is the notice with a more exact status.
func (n notice) as(status int) notice { return notice{n.code, status} }

// problem is why a form is shown again; without a field it is that of the whole.
type problem struct{ code, field string }

// visit is one request and what is known of it.
type visit struct {
	page   *Page
	w      http.ResponseWriter
	r      *http.Request
	inst   Instance
	token  []byte // once it was found to be the instance's
	secure bool
	as     form
	texts  *texts
	varies bool // with Accept-Language
}

func (p *Page) visit(w http.ResponseWriter, r *http.Request, inst Instance) *visit {
	inst.PublicName = clean(inst.PublicName, maxName)
	inst.Domain = clean(inst.Domain, maxHost)
	v := &visit{page: p, w: w, r: r, inst: inst, secure: p.secure(r), as: negotiate(r.Header["Accept"])}
	v.texts, v.varies = p.languages.pick(inst.Locale, r.Header["Accept-Language"])
	return v
}

// view is what the templates see.
type view struct {
	Lang, Dir    string
	Status       int
	Code         string
	Title        string
	Detail       string
	Advice       string // of a notice
	Host, Owner  string
	Support      *contact
	Open         bool // a link to the instance itself
	T            *texts
	Style        template.CSS
	Script       template.JS
	Action, CSRF string
	Alert        string
	Words        []string // that make a password weak

	PasswordError, RepeatError string // one of them, or none
}

func (v *visit) view() view {
	return view{
		Lang: v.texts.lang, Dir: v.texts.dir, T: v.texts, Host: v.inst.Domain, Support: v.page.support, Style: v.page.style,
	}
}

// form shows the form, or says to a program what is wrong with what it sent.
func (v *visit) form(status int, p problem) error {
	if v.as != formHTML {
		return v.fail(status, p)
	}
	csrf, err := v.newCSRF()
	if err != nil {
		return errors.Join(err, v.tell(unavailable))
	}
	d := v.view()
	d.Status, d.Owner = status, v.inst.PublicName
	d.Title, d.Detail = v.texts.Form.Title, v.texts.Form.Detail
	d.Action, d.CSRF = "/?"+url.Values{tokenParam: {fmt.Sprintf("%x", v.token)}}.Encode(), csrf
	d.Script, d.Words = v.page.script, words(v.inst)
	switch p.field {
	case fieldPassphrase:
		d.PasswordError = v.texts.errors[p.code]
	case fieldRepeat:
		d.RepeatError = v.texts.errors[p.code]
	default:
		d.Alert = v.texts.errors[p.code]
	}
	return v.write(status, v.page.csp+v.formAction(), func(out io.Writer) error { return v.page.form.Execute(out, d) })
}

// formAction is where the form may be sent, and where the answer may lead:
// Chromium holds the whole chain of redirects against this directive, and
// upstreams send their owners to a host for signing in, or to an app's. Closed
// to 'self', it would leave an owner whose password was set in front of the
// form as if nothing had happened.
func (v *visit) formAction() string {
	if v.secure {
		return "; form-action 'self' https:"
	}
	return "; form-action 'self' https: http:"
}

// fail is the form's answer to a program.
func (v *visit) fail(status int, p problem) error {
	text := v.texts.errors[p.code]
	if v.as == formText {
		d := v.view()
		d.Status, d.Code, d.Title, d.Detail = status, p.code, v.texts.Form.Title, text
		return v.write(status, cspNothing, func(out io.Writer) error { return v.page.text.Execute(out, d) })
	}
	f := failure{Status: strconv.Itoa(status), Code: p.code, Title: v.texts.Form.Title, Detail: text}
	if p.field != "" {
		f.Source = &source{p.field}
	}
	return v.json(status, f)
}

// tell shows a notice.
func (v *visit) tell(n notice) error {
	m := v.texts.notices[n.code]
	if v.as == formJSON || v.as == formJSONAPI {
		return v.json(n.status, failure{Status: strconv.Itoa(n.status), Code: n.code, Title: m.Title, Detail: m.Detail})
	}
	d := v.view()
	d.Status, d.Code, d.Title, d.Detail, d.Advice = n.status, n.code, m.Title, m.Detail, m.Advice
	d.Open = n == linkInvalid && !v.inst.App
	if v.as == formText {
		return v.write(n.status, cspNothing, func(out io.Writer) error { return v.page.text.Execute(out, d) })
	}
	return v.write(n.status, v.page.noticeCSP, func(out io.Writer) error { return v.page.notice.Execute(out, d) })
}

// failure is one error of a JSON:API document.
type failure struct {
	Status string  `json:"status"`
	Code   string  `json:"code"`
	Title  string  `json:"title"`
	Detail string  `json:"detail"`
	Source *source `json:"source,omitempty"`
}

type source struct {
	Parameter string `json:"parameter"`
}

func (v *visit) json(status int, f failure) error {
	return v.write(status, cspNothing, func(out io.Writer) error {
		return json.NewEncoder(out).Encode(map[string][]failure{"errors": {f}})
	})
}

// write sends a body that is whole before the first byte goes.
func (v *visit) write(status int, csp string, render func(io.Writer) error) error {
	var body bytes.Buffer
	renderErr := render(&body)
	if renderErr != nil { // the tests render every page, so this is a broken build
		body.Reset()
		status, csp, v.as = http.StatusInternalServerError, cspNothing, formText
		_, _ = fmt.Fprintln(&body, http.StatusText(status))
		renderErr = fmt.Errorf("rendering a page: %w", renderErr)
	}
	h := v.headers(csp)
	h.Set("Content-Type", v.as.contentType())
	h.Set("Content-Language", v.texts.lang)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Add("Vary", "Accept")
	if v.varies {
		h.Add("Vary", "Accept-Language")
	}
	v.w.WriteHeader(status)
	if v.r.Method == http.MethodHead {
		return renderErr
	}
	if _, err := v.w.Write(body.Bytes()); err != nil {
		return errors.Join(renderErr, fmt.Errorf("writing the onboarding page: %w", err))
	}
	return renderErr
}

// headers are those of every answer: nothing of it is kept, and the address
// with the register token is told to nobody.
func (v *visit) headers(csp string) http.Header {
	h := v.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", csp)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	return h
}

func (v *visit) retryAfter(d time.Duration) {
	seconds := (d + time.Second - 1) / time.Second
	v.w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
}
