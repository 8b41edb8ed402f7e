// This file holds the memory of rendered pages: a template costs 20 times as much as to send what came of it.

package pages

import (
	"bytes"
	"html/template"
	"strings"
	"sync"

	"github.com/gatehouse-edge/gatehouse/internal/recent"
)

const (
	// maxRendered bounds the bodies that a Set remembers, 4 KB each of the built-in ones.
	maxRendered = 1024
	// maxBody bounds a body that is remembered, in bytes: all of them are at most 32 MB.
	maxBody = 32 << 10
	// maxHeaders bounds the header fields whose meaning is remembered.
	maxHeaders = 256
)

// hostToken stands for the host in the built-in templates' output: private-use characters,
// which clean lets nobody write, and which are the same in text and in HTML.
const hostToken = "\ue000\ue001"

// body is all that a body depends on. A built-in page is the same for all hosts but for the
// host; what an operator's templates make of it is not known, so that host is theirs alone.
type body struct {
	status                    int
	code, lang, support, host string
	as                        form
}

// rendered is a body, cut where the host stands.
type rendered struct {
	parts [][]byte
	csp   string
}

// appendTo writes the body with a host.
func (r *rendered) appendTo(buf *bytes.Buffer, host string) {
	for i, part := range r.parts {
		if i > 0 {
			buf.WriteString(host)
		}
		buf.Write(part)
	}
}

// memory is what a Set remembers. It is safe for concurrent use.
type memory struct {
	mu      sync.Mutex
	bodies  *recent.Memory[body, *rendered]
	accepts *recent.Memory[accept, form]
}

// accept is an Accept header field, and what it is to choose from.
type accept struct {
	header  string
	upgrade bool
}

func newMemory() *memory {
	return &memory{bodies: recent.New[body, *rendered](maxRendered), accepts: recent.New[accept, form](maxHeaders)}
}

// remembered is render, of what was rendered before.
func (s *Set) remembered(buf *bytes.Buffer, as form, f Refusal, t *texts) (csp string, err error) {
	key := body{status: f.Status, code: f.Code, lang: t.lang, support: f.Support, as: as}
	host, place := f.Host, ""
	switch {
	case as == formJSON || as == formJSONAPI: // they say nothing of the host
		host = ""
	case s.custom != nil:
		key.host, host = host, ""
	case host != "":
		if as == formHTML && template.HTMLEscapeString(host) != host || strings.ContainsAny(host, "+\x00") {
			return s.render(buf, as, f, t) // html/template knows better
		}
		place = hostToken
		key.host = place // a page without one has other lines
	}
	s.memory.mu.Lock()
	r, ok := s.memory.bodies.Get(key)
	s.memory.mu.Unlock()
	if ok {
		r.appendTo(buf, host)
		return r.csp, nil
	}
	if place != "" {
		f.Host = place
	}
	csp, err = s.render(buf, as, f, t)
	r = &rendered{parts: bytes.Split(bytes.Clone(buf.Bytes()), []byte(hostToken)), csp: csp}
	if err == nil && buf.Len() <= maxBody {
		s.memory.mu.Lock()
		s.memory.bodies.Put(key, r)
		s.memory.mu.Unlock()
	}
	buf.Reset()
	r.appendTo(buf, host)
	return csp, err
}

// form chooses the form that a request wants.
func (s *Set) form(header []string, upgrade bool) form {
	offered := offers
	if upgrade {
		offered = offersNotHTML
	}
	if len(header) != 1 || len(header[0]) > maxAccept {
		return negotiate(header, offered)
	}
	key := accept{header[0], upgrade}
	s.memory.mu.Lock()
	as, ok := s.memory.accepts.Get(key)
	s.memory.mu.Unlock()
	if ok {
		return as
	}
	as = negotiate(header, offered)
	s.memory.mu.Lock()
	s.memory.accepts.Put(key, as)
	s.memory.mu.Unlock()
	return as
}
