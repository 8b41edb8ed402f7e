// Cases: each header rule, methods, shapes of bodies, and answers good and bad.

package differential

import (
	"fmt"
	"strings"
)

// ok is a plain answer.
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Up: 1\r\n\r\nok"

// request is one's head, without the empty line.
func request(method, target, name, fields string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: alice.example.com:8080\r\nAccept-Encoding: br\r\n%s: %s\r\n%s", method, target, caseHeader, name, fields)
}

func allCases() []*testcase {
	out := append(shapes(), requestFields()...)
	out = append(out, answers()...)
	out = append(out, broken()...)
	return append(out, forwarded()...)
}

// chunked is a body in chunks.
func chunked(trailer string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
	}
	return b.String() + "0\r\n" + trailer + "\r\n"
}

// shapes are methods with bodies and answers of all shapes.
func shapes() (out []*testcase) {
	long := strings.Repeat("0123456789abcdef", 12<<10)
	bodies := []struct{ name, fields, body string }{
		{"no body", "", ""},
		{"empty body", "Content-Length: 0\r\n", ""},
		{"short body", "Content-Length: 5\r\n", "hello"},
		{"slow body", "Content-Length: 10\r\n", "hello" + pause + "world"},
		{"long body", fmt.Sprintf("Content-Length: %d\r\n", len(long)), long},
		{"chunked body", "Transfer-Encoding: chunked\r\n", chunked("", "hello", " ", "world")},
		{"long chunked body", "Transfer-Encoding: chunked\r\n", chunked("", long[:40000], long[:100], long)},
		{"empty chunked body", "Transfer-Encoding: chunked\r\n", chunked("")},
		{"trailer", "Transfer-Encoding: chunked\r\nTrailer: X-Sum, X-More\r\n", chunked("X-Sum: 1\r\nX-More: 2\r\n", "hello")},
		{"trailer unannounced", "Transfer-Encoding: chunked\r\n", chunked("X-Sum: 1\r\n", "hello")},
		{"expectation", "Content-Length: 5\r\nExpect: 100-continue\r\n", pause + "hello"},
	}
	replies := []struct {
		name, answer string
		closes       bool
	}{
		{"length", ok, false},
		{"no content", "HTTP/1.1 204 No Content\r\nX-Up: 1\r\n\r\n", false},
		{"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false},
		{"long", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long), false},
		{"slow chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pause + "5\r\nhello\r\n" + pause + "0\r\n\r\n", false},
		{"long chunks", "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked("", long, long), false},
		{"to the end", "HTTP/1.1 200 OK\r\n\r\nuntil the end", true},
		{"closing", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", true},
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
		for _, body := range bodies {
			for _, reply := range replies {
				if method == "HEAD" && reply.name != "no content" && reply.name != "empty" {
					continue // their bodies would be of nobody; HEAD has cases of its own
				}
				if body.name == "empty chunked body" && (method[0] != 'P' || method == "PROPFIND") {
					continue // net/http looks for 200 ms whether there is a body, in both
				}
				name := method + ", " + body.name + ", " + reply.name
				c := &testcase{name: name, send: request(method, "/p%20a/?q=1&q=2", name, body.fields) + "\r\n" + body.body, answer: reply.answer, closes: reply.closes}
				out = append(out, c)
			}
		}
	}
	return out
}

// requestFields are rules about what of a request goes on.
func requestFields() (out []*testcase) {
	for name, fields := range map[string]string{
		"hop-by-hop fields":        "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nProxy-Authenticate: x\r\nAlt-Svc: x\r\nUpgrade: foo\r\n",
		"named fields":             "Connection: X-One, x-two\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\n",
		"named fields in lists":    "Connection: X-One,, ,\r\nConnection: x-two , keep-alive\r\nX-One: 1\r\nX-Two: 2\r\n",
		"named cookie":             "Connection: Cookie, Authorization\r\nCookie: a=b\r\nAuthorization: Bearer x\r\n",
		"named forwarded":          "Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Via, Host\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: x\r\nVia: 1.0 x\r\n",
		"close":                    "Connection: close\r\n",
		"trailers accepted":        "Te: trailers\r\n",
		"trailers among others":    "Connection: TE\r\nTe: gzip, trailers;q=0.5\r\n",
		"other codings":            "Te: gzip\r\n",
		"no agent":                 "",
		"empty agent":              "User-Agent:\r\n",
		"agent":                    "User-Agent: x/1\r\n",
		"forwarded":                "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example.com\r\n",
		"via":                      "Via: 1.1 other\r\nVia: 1.0 another\r\n",
		"cookies":                  "Cookie: a=b\r\nCookie: c=d\r\n",
		"empty field":              "X-Empty:\r\n",
		"odd field":                "x_odd.name: 1\r\nX-UTF: \xc3\xa9\r\n",
		"identity":                 "X-Gatehouse-Domain: evil\r\nx_gatehouse_prefix: evil\r\n",
		"websocket without a wish": "Upgrade: websocket\r\n",
		"upgrade":                  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
		"range":                    "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n",
		"many fields":              strings.Repeat("X-Many: "+strings.Repeat("v", 100)+"\r\n", 200),
		"incremental":              "Incremental: ?1\r\n",
	} {
		out = append(out, &testcase{name: "field, " + name, send: request("GET", "/", "field, "+name, fields) + "\r\n", answer: ok})
	}
	for name, target := range map[string]string{
		"absolute": "http://bob.example.com/a?b", "empty query": "/a?", "double slash": "//a//b/../c", "escapes": "/%2e%2F%zz"[:8] + "?%41;x", "no path": "http://bob.example.com?x",
		"dots": "/../../etc", "fragment": "/a%23b", "long": "/" + strings.Repeat("a", 6000),
	} {
		out = append(out, &testcase{name: "target, " + name, send: request("GET", target, "target, "+name, "") + "\r\n", answer: ok})
	}
	out = append(out,
		&testcase{name: "OPTIONS *", send: request("OPTIONS", "*", "OPTIONS *", "") + "\r\n", answer: ok},
		&testcase{name: "HTTP/1.0", send: "GET / HTTP/1.0\r\nHost: a.example.com\r\nAccept-Encoding: br\r\nX-Case: HTTP/1.0\r\n\r\n", answer: ok},
		&testcase{name: "HTTP/1.0 kept", send: "GET / HTTP/1.0\r\nHost: a.example.com\r\nAccept-Encoding: br\r\nConnection: keep-alive\r\nX-Case: HTTP/1.0 kept\r\n\r\n", answer: ok},
		&testcase{name: "CONNECT", send: "CONNECT a.example.com:443 HTTP/1.1\r\nHost: a.example.com:443\r\nAccept-Encoding: br\r\nX-Case: CONNECT\r\n\r\n", answer: ok},
		&testcase{name: "TRACE", send: request("TRACE", "/", "TRACE", "") + "\r\n", answer: ok},
		&testcase{name: "other expectation", send: request("GET", "/", "other expectation", "Expect: tea\r\n") + "\r\n", answer: ok},
		&testcase{name: "no encoding", send: "GET / HTTP/1.1\r\nHost: a.example.com\r\nX-Case: no encoding\r\n\r\n", answer: ok,
			differs: "a client that sends no `Accept-Encoding`"},
		&testcase{name: "request, length and chunks", send: request("POST", "/", "request, length and chunks", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "\r\n" + chunked("", "hello"), answer: ok},
		&testcase{name: "request, two lengths", send: request("POST", "/", "request, two lengths", "Content-Length: 3\r\nContent-Length: 4\r\n") + "\r\nabcd", answer: ok},
		&testcase{name: "request, same length twice", send: request("POST", "/", "request, same length twice", "Content-Length: 4\r\nContent-Length: 4\r\n") + "\r\nabcd", answer: ok},
		&testcase{name: "request, list of lengths", send: request("POST", "/", "request, list of lengths", "Content-Length: 4, 4\r\n") + "\r\nabcd", answer: ok},
		&testcase{name: "request, signed length", send: request("POST", "/", "request, signed length", "Content-Length: +4\r\n") + "\r\nabcd", answer: ok},
		&testcase{name: "request, codings", send: request("POST", "/", "request, codings", "Transfer-Encoding: gzip, chunked\r\n") + "\r\n" + chunked("", "hello"), answer: ok},
		&testcase{name: "request, odd coding", send: request("POST", "/", "request, odd coding", "Transfer-Encoding: \x0bchunked\r\n") + "\r\n" + chunked("", "hello"), answer: ok},
		&testcase{name: "request, two codings", send: request("POST", "/", "request, two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") + "\r\n" + chunked("", "hello"), answer: ok},
		&testcase{name: "request, space before the colon", send: request("GET", "/", "request, space before the colon", "X-A : 1\r\n") + "\r\n", answer: ok},
		&testcase{name: "request, folded field", send: request("GET", "/", "request, folded field", "X-A: 1\r\n 2\r\n") + "\r\n", answer: ok},
		&testcase{name: "request, bare line feeds", send: "GET / HTTP/1.1\nHost: a.example.com\nAccept-Encoding: br\nX-Case: request, bare line feeds\n\n", answer: ok},
		&testcase{name: "request, bare return", send: request("GET", "/", "request, bare return", "X-A: 1\rX-B: 2\r\n") + "\r\n", answer: ok},
		&testcase{name: "request, two hosts", send: request("GET", "/", "request, two hosts", "Host: other.example.com\r\n") + "\r\n", answer: ok},
		&testcase{name: "request, trailer that frames", send: request("POST", "/", "request, trailer that frames", "Transfer-Encoding: chunked\r\nTrailer: X-Sum, X-Forwarded-For, Authorization\r\n") + "\r\n" + chunked("X-Sum: 1\r\nX-Forwarded-For: 192.0.2.1\r\nAuthorization: x\r\n", "hello"), answer: ok,
			differs: "a trailer with fields that frame, route or authenticate"},
	)
	return out
}

// answers are rules about what of an answer goes on.
func answers() (out []*testcase) {
	add := func(name, method, answer string, closes bool, differs string) {
		name = "answer, " + name
		out = append(out, &testcase{name: name, send: request(method, "/", name, "") + "\r\n", answer: answer, closes: closes, differs: differs})
	}
	add("short chunks at once", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked("", "hello"), false, "a short answer of unknown length that came whole")
	add("hop-by-hop fields", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-One\r\nX-One: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nAlt-Svc: h3=\":1\"\r\nTe: x\r\n\r\nok", false, "")
	add("server and via", "GET", "HTTP/1.1 200 OK\r\nServer: up\r\nVia: 1.1 other\r\nContent-Length: 2\r\n\r\nok", false, "")
	add("cookies", "GET", "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok", false, "")
	add("odd fields", "GET", "HTTP/1.1 200 OK\r\nx-LOWER_case: 1\r\nEmpty:\r\nContent-Length: 2\r\n\r\nok", false, "")
	add("folded field", "GET", "HTTP/1.1 200 OK\r\nX-A: 1\r\n  2\r\nContent-Length: 2\r\n\r\nok", false, "")
	add("bare line feeds", "GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false, "")
	add("type by sniffing", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", false, "")
	add("date", "GET", "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Length: 2\r\n\r\nok", false, "")
	for _, code := range []int{200, 201, 205, 206, 226, 300, 301, 304, 400, 401, 404, 407, 416, 418, 429, 451, 499, 500, 502, 503, 504, 511, 599, 600, 999} {
		answer := fmt.Sprintf("HTTP/1.1 %d Odd Reason\r\nContent-Length: 2\r\nEtag: \"x\"\r\n\r\nok", code)
		if code == 304 {
			answer = "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n"
		}
		add(fmt.Sprint("status ", code), "GET", answer, false, "")
	}
	add("304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, "")
	add("204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, "")
	add("HEAD with a length", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nX-Up: 1\r\n\r\n", false, "")
	add("HEAD without one", "HEAD", "HTTP/1.1 200 OK\r\nX-Up: 1\r\n\r\n", false, "")
	add("HEAD with chunks", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "")
	add("early hints", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-One\r\nX-One: 1\r\n\r\n"+ok, false, "")
	add("several hints", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"+pause+"HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n"+"HTTP/1.1 102 Processing\r\n\r\n"+ok, false, "")
	add("continue unasked", "GET", "HTTP/1.1 100 Continue\r\n\r\n"+ok, false, "")
	add("trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"+chunked("X-Sum: 1\r\n", "hello"), false, "")
	add("trailer unannounced", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked("X-Sum: 1\r\n", "hello"), false, "")
	add("trailer announced in part", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"+chunked("X-Sum: 1\r\nX-More: 2\r\n", "hello"), false, "")
	add("trailer announced in vain", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"+chunked("", "hello"), false, "")
	add("events", "GET", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"+pause+"6\r\ndata:1\r\n"+pause+"6\r\ndata:2\r\n"+pause+"0\r\n\r\n", false, "")
	add("events with a length", "GET", "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream\r\nContent-Length: 12\r\n\r\ndata:1"+pause+"data:2", false, "")
	add("HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", true, "")
	add("HTTP/1.0 kept", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", false, "")
	add("HTTP/1.0 to the end", "GET", "HTTP/1.0 200 OK\r\n\r\nuntil the end", true, "")
	add("no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", false, "")
	add("more than it said", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false, "")
	add("a header in pieces", "GET", "HTTP/1.1 20"+pause+"0 OK\r\nContent-Le"+pause+"ngth: 2\r\nX-Up: 1\r\n\r"+pause+"\nok", false, "")
	add("a long header", "GET", "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Many: "+strings.Repeat("v", 500)+"\r\n", 100)+"Content-Length: 2\r\n\r\nok", false, "")
	add("an encoded body", "GET", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", false, "")
	return out
}

// broken are answers that are none, or not whole.
func broken() (out []*testcase) {
	add := func(name, answer, differs string) {
		name = "broken, " + name
		out = append(out, &testcase{name: name, send: request("GET", "/", name, "") + "\r\n", answer: answer, closes: true, differs: differs})
	}
	const framing = "an answer with both `Content-Length` and `Transfer-Encoding`"
	add("nothing", "", "")
	add("half a header", "HTTP/1.1 200 OK\r\nContent-Le", "")
	add("no HTTP", "SSH-2.0-x\r\n\r\n", "")
	add("HTTP/2", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "an answer that calls itself neither HTTP/1.0 nor HTTP/1.1")
	add("status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "")
	add("status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "")
	add("status 099", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "a status below 100")
	add("status of letters", "HTTP/1.1 abc OK\r\n\r\n", "")
	add("length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked("", "hello"), framing)
	add("chunks and length", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n"+chunked("", "hello"), framing)
	add("length and chunks in pieces", "HTTP/1.1 200 OK\r\nContent-Len"+pause+"gth: 5\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked("", "hello"), framing)
	add("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "")
	add("same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "")
	add("list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "")
	add("negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "")
	add("empty length", "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok", "")
	add("length of letters", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok", "")
	add("unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", "")
	add("two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"+chunked("", "hello"), "")
	add("coding twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked("", "hello"), "")
	add("coding of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked("", "hello"), "an answer of HTTP/1.0 with `Transfer-Encoding`")
	add("space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", "an answer with a field whose name is none")
	add("coding with a space", "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nContent-Length: 15\r\n\r\n"+chunked("", "hello"), "an answer with a field whose name is none")
	add("name in parentheses", "HTTP/1.1 200 OK\r\n(x): 1\r\nContent-Length: 2\r\n\r\nok", "")
	add("return in a value", "HTTP/1.1 200 OK\r\nX-A: 1\r2\r\nContent-Length: 2\r\n\r\nok", "")
	add("zero in a value", "HTTP/1.1 200 OK\r\nX-A: 1\x002\r\nContent-Length: 2\r\n\r\nok", "")
	add("no colon", "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\nok", "")
	add("first field folded", "HTTP/1.1 200 OK\r\n X: 1\r\n\r\nok", "")
	add("too short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "")
	add("too short, long", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 50000), "")
	add("chunks without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "")
	add("chunk that is too short", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "")
	add("chunk of letters", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n", "")
	add("chunk with more than it said", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", "")
	add("switching unasked", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "an answer 101 that nobody asked for")
	add("hints without an answer", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "")
	add("a flood of hints", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 40)+ok, "more than 32 informational answers")
	add("a header of 2 MiB", "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Many: "+strings.Repeat("v", 1000)+"\r\n", 2000)+"Content-Length: 2\r\n\r\nok", "a header of more than 1 MiB")
	return out
}

// forwarded are fields of clients that are trusted.
func forwarded() (out []*testcase) {
	for name, fields := range map[string]string{
		"nothing":       "",
		"one":           "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: site.example.com\r\n",
		"several":       "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nX-Forwarded-For: 192.0.2.3\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example.com\r\nX-Forwarded-Host: b.example.com\r\n",
		"empty":         "X-Forwarded-For:\r\nX-Forwarded-Proto:\r\nX-Forwarded-Host:\r\n",
		"named":         "Connection: X-Forwarded-For\r\nX-Forwarded-For: 192.0.2.1\r\n",
		"other headers": "Forwarded: for=192.0.2.1\r\nX-Real-Ip: 192.0.2.1\r\n",
	} {
		name = "trusted, " + name
		out = append(out, &testcase{name: name, send: request("GET", "/", name, fields) + "\r\n", answer: ok, trusted: true})
	}
	return out
}
