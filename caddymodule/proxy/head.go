// Head: reading the header of an answer, and refusing what is ambiguous.

package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/net/http/httpguts"
)

var errFraming = errors.New("the length of the answer is given twice, or in a way that is not HTTP/1.1")

// readHead reads one header. Of those with both a Content-Length and a Transfer-Encoding,
// net/http believes the second and forgets the first, as RFC 9112, section 6.3, allows;
// the section calls them an attempt at response splitting too, so here they are refused.
func (c *conn) readHead() (*http.Response, error) {
	if _, err := c.br.Peek(1); err != nil {
		return nil, err
	}
	head, _ := c.br.Peek(c.br.Buffered())
	if !whole(head) {
		// It is longer than the buffer, or comes in pieces.
		c.head, c.noting = append(c.head[:0], head...), true
	}
	resp, err := http.ReadResponse(c.br, &c.out)
	if c.noting {
		head, c.noting = c.head, false
	}
	if err != nil {
		return nil, err
	}
	switch {
	case resp.ProtoMajor != 1:
		return nil, fmt.Errorf("answers with %s", resp.Proto)
	case resp.StatusCode < 100: // three digits otherwise
		return nil, fmt.Errorf("answers with status %d", resp.StatusCode)
	case len(resp.TransferEncoding) > 0 && has(head, "content-length"),
		resp.ProtoMinor == 0 && has(head, "transfer-encoding"): // RFC 9112, section 6.1
		return nil, errFraming
	}
	for name := range resp.Header {
		if !httpguts.ValidHeaderFieldName(name) { // RFC 9112, section 5.1: not with a space before the colon
			return nil, fmt.Errorf("has a field with the name %.100q", name)
		}
	}
	return resp, nil
}

// whole tells whether a header is there up to its empty line.
func whole(head []byte) bool {
	_, ok := fields(head, nil)
	return ok
}

// has tells whether a field is in a header. name is in lower case.
func has(head []byte, name string) bool {
	found, _ := fields(head, func(line []byte) bool {
		return len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name))
	})
	return found
}

// fields goes through the lines of a header until is holds for one, or to the empty line.
func fields(head []byte, is func(line []byte) bool) (found, ended bool) {
	for {
		end := bytes.IndexByte(head, '\n')
		if end < 0 {
			return false, false
		}
		line := head[:end]
		head = head[end+1:]
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return false, true
		}
		if is != nil && is(line) {
			return true, false
		}
	}
}
