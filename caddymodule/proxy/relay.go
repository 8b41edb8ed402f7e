// Relay: the answer, to the client.

package proxy

import (
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"
)

// copyBuffer is how much of a body is in memory at once, in each direction.
const copyBuffer = 32 << 10

var buffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// relay copies the header. dst may have fields of handlers before.
func relay(dst http.Header, resp *http.Response) {
	delete(dst, "Server") // the upstream's, and Via for us
	if resp.ProtoMinor == 1 {
		dst["Via"] = append(dst["Via"], "1.1 Caddy")
	} else {
		dst["Via"] = append(dst["Via"], "1.0 Caddy")
	}
	dropNamed(resp.Header, resp.Header["Connection"])
	for name, values := range resp.Header {
		if hop(name) {
			continue
		}
		if before, ok := dst[name]; ok {
			dst[name] = append(before, values...)
		} else {
			dst[name] = values
		}
	}
	if len(resp.Trailer) > 0 {
		names := make([]string, 0, len(resp.Trailer))
		for name := range resp.Trailer {
			names = append(names, name)
		}
		dst.Add("Trailer", strings.Join(names, ", "))
	}
}

// inform passes on an informational answer. The header is the final answer's again then.
func inform(w http.ResponseWriter, resp *http.Response) {
	header := w.Header()
	own := header.Clone()
	dropNamed(resp.Header, resp.Header["Connection"])
	for name, values := range resp.Header {
		if !hop(name) {
			header[name] = append(header[name], values...)
		}
	}
	w.WriteHeader(resp.StatusCode)
	clear(header)
	maps.Copy(header, own)
}

// atOnce tells whether a body goes to the client as it comes: where its end is not known,
// and of events.
func atOnce(resp *http.Response) bool {
	if resp.ContentLength < 0 || caddyhttp.IsIncremental(resp.Header) {
		return true
	}
	kind := resp.Header["Content-Type"]
	if len(kind) == 0 || len(kind[0]) < len(events) || !strings.EqualFold(strings.TrimSpace(kind[0])[:1], events[:1]) {
		return false
	}
	media, _, err := mime.ParseMediaType(kind[0])
	return err == nil && media == events
}

const events = "text/event-stream"

// relayBody sends status and body. An error says that the body is not whole.
func (c *conn) relayBody(w http.ResponseWriter, resp *http.Response) error {
	announced := len(resp.Trailer)
	flush := resp.Body != http.NoBody && atOnce(resp)
	if flush {
		if _, ok := w.Header()["Content-Type"]; !ok {
			w.Header()["Content-Type"] = nil // net/http is not to guess it from the first piece
		}
	}
	w.WriteHeader(resp.StatusCode)
	if resp.Body != http.NoBody {
		if flush && c.br.Buffered() == 0 {
			// Nothing of the body is there yet.
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
		}
		if err := c.copyBody(w, resp.Body, flush); err != nil {
			return err
		}
	}
	if len(resp.Trailer) == 0 {
		return nil
	}
	// A short body would get a length otherwise, and no trailer.
	_ = http.NewResponseController(w).Flush()
	header, prefix := w.Header(), ""
	if len(resp.Trailer) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range resp.Trailer {
		if !httpguts.ValidTrailerHeader(name) {
			continue
		}
		for _, v := range values {
			header.Add(prefix+name, v)
		}
	}
	return nil
}

func (c *conn) copyBody(w http.ResponseWriter, body io.Reader, flush bool) error {
	buf := buffers.Get().(*[copyBuffer]byte)
	defer buffers.Put(buf)
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if flush && err == nil {
				if err := http.NewResponseController(w).Flush(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// expireEarly is how much earlier than the upstream we let go of a connection.
const expireEarly = time.Second

// expire notes when the upstream says that it will close a connection that is idle:
// Keep-Alive: timeout=5, as Node and Apache have it.
func (c *conn) expire(keepAlive []string) {
	c.expires = time.Time{}
	for _, list := range keepAlive {
		for part := range strings.SplitSeq(list, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			if seconds, err := strconv.ParseUint(value, 10, 16); err == nil && strings.EqualFold(name, "timeout") {
				c.expires = c.up.o.Now().Add(time.Duration(seconds)*time.Second - expireEarly)
			}
		}
	}
}
