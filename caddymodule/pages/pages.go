// This file holds the package's door: Refusal, Set and Write, the way of a refused request.

// Package pages renders what a visitor gets where an instance does not answer:
// a page, a JSON:API error, plain text, or what a gRPC or WebSocket client
// understands, in the visitor's language. It knows HTTP and nothing of Caddy.
//
// To follow a refusal, read Set.Write, then Set.render.
package pages

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Refusal is what a visitor is told instead of the upstream's answer.
// Its texts may come from anywhere: they are cleaned, bounded and escaped here.
type Refusal struct {
	// Status is the HTTP status, 400 to 599. Anything else means the usual
	// status of Code: 402, 410, 404, 421, 502, 503 or 504.
	Status int
	// Code is one of Codes, or an operator's own reason of at most 200
	// characters (a longer one is cut). Empty means UNKNOWN.
	Code string
	// RetryAfter becomes the header of that name, in seconds, rounded up.
	// Zero or less: no header.
	RetryAfter time.Duration
	// Host is the name that the visitor asked for, in its display (Unicode)
	// form. Empty: it is not shown.
	Host string
	// Locale is the instance's locale (fr, fr-CA, fr_FR). Where it is empty, or
	// in a language that this Set does not have, Accept-Language decides.
	Locale string
	// Support is an e-mail address or an https URL, shown as a link (see
	// CheckSupport). Empty: none is shown.
	Support string
}

// maxReason is the length, in characters, up to which an operator's own reason is shown.
const maxReason = 200

// maxHost leaves room for the display form of the longest name and a port.
const maxHost = 262

// maxSupport is far above the length of a sensible address.
const maxSupport = 500

// ErrTemplate tells that an operator's template failed while a request was
// answered. The visitor got the built-in page; the error is for the log.
var ErrTemplate = errors.New("a template of the pages folder failed, so the built-in page was sent")

// Set is the pages of one site: templates, style sheet and messages.
// It never changes after New, and is safe for concurrent use.
type Set struct {
	builtin   *templates
	custom    *templates // nil without an operator's folder
	languages *languages
	memory    *memory
}

// buffers are shared by all Sets. A buffer that grew large is dropped, lest
// one operator's heavy page stay in memory for ever.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxPooledBuffer = 128 << 10

// Write answers r with f, and nothing more may be written to w afterwards.
//
// The form follows Accept (RFC 9110, section 12.5.1): HTML, JSON:API, JSON or
// plain text, which also answers where nothing fits. A gRPC call gets a
// trailers-only response, a WebSocket handshake a final status and a closed
// connection. The body of r is not read.
//
// The visitor is always answered. An error says that the connection failed
// while the body was written, or matches ErrTemplate, or both.
func (s *Set) Write(w http.ResponseWriter, r *http.Request, f Refusal) error {
	f = f.cleaned()
	lang, decided := s.languages.pick(f.Locale, r.Header["Accept-Language"])
	texts := s.languages.texts[lang]
	h := fields{header: w.Header(), values: make([]string, 0, maxFields)}
	for _, stale := range [...]string{"Content-Encoding", "Content-Disposition", "Content-Range", "Accept-Ranges", "Etag", "Last-Modified"} {
		delete(h.header, stale)
	}
	h.set("Cache-Control", "no-store")
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		h.set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if contentType := grpcContentType(r); contentType != "" {
		writeGRPC(w, contentType, f, texts)
		return nil
	}

	upgrade := isWebSocket(r)
	as := s.form(r.Header["Accept"], upgrade)

	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= maxPooledBuffer {
			buffers.Put(buf)
		}
	}()
	csp, templateErr := s.remembered(buf, as, f, texts)

	h.set("Content-Type", as.contentType())
	h.set("Content-Language", texts.lang)
	h.set("Content-Length", strconv.Itoa(buf.Len()))
	h.set("Content-Security-Policy", csp)
	h.set("X-Content-Type-Options", "nosniff")
	h.set("Referrer-Policy", "no-referrer")
	h.set("X-Robots-Tag", "noindex")
	h.add("Vary", "Accept")
	if !decided {
		h.add("Vary", "Accept-Language")
	}
	// HTTP/2 and 3 have no such header, and Go would take it as a wish to
	// close the connection under the other streams.
	if upgrade && r.ProtoMajor == 1 {
		h.set("Connection", "close")
	}
	w.WriteHeader(f.Status)
	if r.Method == http.MethodHead {
		return templateErr
	}
	_, err := w.Write(buf.Bytes())
	if err != nil {
		err = fmt.Errorf("writing a refusal: %w", err)
	}
	return errors.Join(templateErr, err)
}

// maxFields is how many values of header fields Write sets, mostly.
const maxFields = 10

// fields sets header fields whose values are in one array: each would be an object of its
// own. It is a new one for each request, since other handlers change values where they are.
type fields struct {
	header http.Header
	values []string
}

// set sets a field, whose name is in canonical form.
func (f *fields) set(name, value string) {
	n := len(f.values)
	f.values = append(f.values, value)
	f.header[name] = f.values[n : n+1 : n+1]
}

// add adds a value to a field.
func (f *fields) add(name, value string) {
	if f.header[name] == nil {
		f.set(name, value)
		return
	}
	f.header[name] = append(f.header[name], value)
}

// cleaned returns f with what every form relies on: a status that is an error,
// and texts without control characters, within their bounds.
func (f Refusal) cleaned() Refusal {
	f.Code = clean(f.Code, maxReason)
	if f.Code == "" {
		f.Code = Unknown
	}
	if f.Status < 400 || f.Status > 599 {
		f.Status = traits[tableOf(f.Code)].status
	}
	f.Host = clean(f.Host, maxHost)
	f.Support = clean(f.Support, maxSupport)
	return f
}

// isWebSocket recognises the handshake of RFC 6455 (HTTP/1.1) and of RFC 8441 (HTTP/2, HTTP/3).
func isWebSocket(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		// net/http hands the pseudo-header of an extended CONNECT on as it came.
		protocol := r.Header[":protocol"]
		return len(protocol) == 1 && strings.EqualFold(protocol[0], "websocket") ||
			strings.EqualFold(r.Proto, "websocket") // and quic-go's HTTP/3 as the request's protocol
	}
	return httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") &&
		httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket")
}
