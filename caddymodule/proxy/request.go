// Request: what of a client's request goes on to the upstream.

package proxy

import (
	"net"
	"net/http"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Takes tells whether Serve does a request exactly. What it does not: upgrades, CONNECT,
// expectations other than 100-continue, and targets that are neither a path nor `*`.
func Takes(r *http.Request) bool {
	if r.Method == http.MethodConnect || r.URL.Opaque != "" || r.URL.Path != "" && r.URL.Path[0] != '/' && r.URL.Path != "*" {
		return false
	}
	if _, ok := r.Header["Upgrade"]; ok && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") {
		return false
	}
	if expect, ok := r.Header["Expect"]; ok && (len(expect) != 1 || !strings.EqualFold(expect[0], "100-continue")) {
		return false
	}
	return true
}

// hop tells whether a field is of one connection only: RFC 9110, section 7.6.1, with
// those that reverse_proxy takes for such. The name is canonical.
func hop(name string) bool {
	switch name {
	case "Alt-Svc", "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// dropNamed removes what the Connection field names.
func dropNamed(header http.Header, connection []string) {
	for _, list := range connection {
		for name := range strings.SplitSeq(list, ",") {
			switch name = textproto.TrimString(name); name {
			case "", "keep-alive", "Keep-Alive": // it is dropped anyway
			default:
				header.Del(name)
			}
		}
	}
}

// prepare writes the request to the upstream into c.out. The client's is left as it is: it
// is logged afterwards.
func (c *conn) prepare(r *http.Request, x *Exchange) {
	c.out.Method, c.out.URL, c.out.Host, c.out.ContentLength = r.Method, r.URL, r.Host, r.ContentLength
	header := c.out.Header
	for name, values := range r.Header {
		if !hop(name) {
			header[name] = values
		}
	}
	dropNamed(header, r.Header["Connection"])
	if te, ok := r.Header["Te"]; ok && httpguts.HeaderValuesContainsToken(te, "trailers") {
		header["Te"] = trailers
	}
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = noAgent
	}
	if r.TLS != nil && !r.TLS.HandshakeComplete { // RFC 8470, section 5.1
		header["Early-Data"] = earlyData
	}
	c.forwarded(r, x.Trusted)
	via := header["Via"]
	header["Via"] = append(via[:len(via):len(via)], viaOf(r.ProtoMajor, r.ProtoMinor))
	for _, f := range x.Header {
		header[f.Name] = []string{f.Value}
	}
	if r.ContentLength == 0 {
		return
	}
	c.body = requestBody{client: r, to: &c.sender, left: r.ContentLength, trailer: make(http.Header, len(r.Trailer))}
	for name := range r.Trailer {
		if trails(name) {
			c.body.trailer[name] = nil
		}
	}
	c.out.Body, c.out.Trailer = &c.body, c.body.trailer
	if len(c.body.trailer) > 0 {
		c.out.ContentLength = -1 // only a chunked body has a trailer
		delete(header, "Content-Length")
	}
}

// forget takes the request off the connection.
func (c *conn) forget() {
	header := c.out.Header
	clear(header)
	c.out = http.Request{Header: header}
	if c.body.client != nil {
		c.body = requestBody{}
	}
	c.values = [len(c.values)]string{}
}

// Values that are never written to.
var (
	trailers  = []string{"trailers"}
	noAgent   = []string{""} // net/http writes its own where there is none
	earlyData = []string{"1"}
)

// viaOf is our entry in Via: RFC 9110, section 7.6.3.
func viaOf(major, minor int) string {
	switch {
	case major == 1 && minor == 1:
		return "1.1 Caddy"
	case major == 2:
		return "2.0 Caddy"
	case major == 3:
		return "3.0 Caddy"
	}
	return "1.0 Caddy"
}

// forwarded says on whose behalf the request comes. What the client says of that counts
// if it is trusted; a field that is there without values is not to be sent, as a handler
// before has decided.
func (c *conn) forwarded(r *http.Request, trusted bool) {
	header := c.out.Header
	var client string
	if r.RemoteAddr == "@" { // a Unix socket has no address
		if !trusted {
			unforward(header)
			return
		}
	} else {
		var err error
		if client, _, err = net.SplitHostPort(r.RemoteAddr); err != nil {
			unforward(header)
			return
		}
		client, _, _ = strings.Cut(client, "%")
	}
	if prior, ok := header["X-Forwarded-For"]; !ok || prior != nil {
		known := ""
		if trusted {
			known = strings.Join(prior, ", ")
		}
		switch {
		case known != "" && client != "":
			known += ", " + client
		case known == "":
			known = client
		}
		if known != "" {
			c.set(0, "X-Forwarded-For", known)
		}
	}
	proto := "https"
	if r.TLS == nil {
		proto = "http"
	}
	c.forwardedLast(1, "X-Forwarded-Proto", proto, trusted)
	c.forwardedLast(2, "X-Forwarded-Host", r.Host, trusted)
}

// forwardedLast sets a field to what a trusted client said last, or to value.
func (c *conn) forwardedLast(i int, name, value string, trusted bool) {
	prior, ok := c.out.Header[name]
	if ok && prior == nil {
		return
	}
	if trusted && len(prior) > 0 && prior[len(prior)-1] != "" {
		value = prior[len(prior)-1]
	}
	c.set(i, name, value)
}

// set sets a field without allocating.
func (c *conn) set(i int, name, value string) {
	c.values[i] = value
	c.out.Header[name] = c.values[i : i+1 : i+1]
}

func unforward(header http.Header) {
	delete(header, "X-Forwarded-For")
	delete(header, "X-Forwarded-Proto")
	delete(header, "X-Forwarded-Host")
}
