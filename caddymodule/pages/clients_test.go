// This file holds the tests with clients that are no browsers: gRPC, WebSocket, HEAD, OPTIONS, uploads.

package pages_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

// serve answers everything with f, over HTTP/1.1 and unencrypted HTTP/2.
func serve(t *testing.T, f pages.Refusal) *httptest.Server {
	t.Helper()
	s := builtIn(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.Write(w, r, f); err != nil {
			t.Errorf("Write: %v", err)
		}
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func TestGRPCClientReadsTheRefusal(t *testing.T) {
	for _, c := range []struct {
		refusal pages.Refusal
		code    codes.Code
		message string
	}{
		{pages.Refusal{Code: pages.PaymentFailed}, codes.PermissionDenied, "PAYMENT_FAILED: This site is on hold"},
		{pages.Refusal{Code: pages.Deleting, Locale: "fr"}, codes.NotFound, "DELETING: Ce site est en cours de suppression"},
		{pages.Refusal{Code: pages.NotFound, Locale: "ja"}, codes.NotFound, "NOT_FOUND: サイトが見つかりません"},
		{pages.Refusal{Code: pages.NotReady, RetryAfter: time.Minute}, codes.Unavailable, "NOT_READY: We will be right back"},
		{pages.Refusal{Code: pages.Misdirected}, codes.Unavailable, "MISDIRECTED: Please open this page again"},
		{pages.Refusal{Code: "100% closed\r\nX-Evil: 1"}, codes.Unavailable, "This site is blocked"},
		{pages.Refusal{Status: 401}, codes.Unauthenticated, "UNKNOWN: This site is not available"},
		{pages.Refusal{Status: 429}, codes.ResourceExhausted, "UNKNOWN: This site is not available"},
		{pages.Refusal{Status: 451}, codes.FailedPrecondition, "UNKNOWN: This site is not available"},
		{pages.Refusal{Status: 500}, codes.Unknown, "UNKNOWN: This site is not available"},
	} {
		server := serve(t, c.refusal)
		connection, err := grpc.NewClient(server.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		err = connection.Invoke(t.Context(), "/any.Service/Any", &emptypb.Empty{}, &emptypb.Empty{})
		if status.Code(err) != c.code || status.Convert(err).Message() != c.message {
			t.Errorf("%+v: %v", c.refusal, err)
		}
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestGRPCIsTrailersOnly(t *testing.T) {
	s := builtIn(t)
	for contentType, want := range map[string]string{
		"application/grpc":                    "application/grpc",
		"application/grpc+proto":              "application/grpc",
		"Application/GRPC; charset=x":         "application/grpc",
		"application/grpc-web+proto":          "application/grpc-web",
		"application/grpc-web-text":           "application/grpc-web-text",
		"application/grpc-evil\tx":            typeHTML,
		"application/grpcx":                   typeHTML,
		"application/x-www-form-urlencoded":   typeHTML,
		"text/plain, application/grpc":        typeHTML,
		"application/json; a=application/grp": typeHTML,
	} {
		w := ask(t, s, pages.Refusal{Code: pages.PaymentFailed, Locale: "ja"}, "Content-Type", contentType)
		if got := w.Header().Get("Content-Type"); got != want {
			t.Errorf("%s: %s, want %s", contentType, got, want)
		}
		if want == typeHTML {
			continue
		}
		if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Grpc-Status") != "7" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %q", contentType, w.Code, w.Header(), w.Body)
		}
		message, err := url.PathUnescape(w.Header().Get("Grpc-Message"))
		if err != nil || message != "PAYMENT_FAILED: このサイトは一時停止中です" {
			t.Errorf("Grpc-Message: %q, %v", message, err)
		}
	}
}

// exchange sends one request over a bare connection and reads all until the server closes it.
func exchange(t *testing.T, server *httptest.Server, request string) (response *http.Response, body string) {
	t.Helper()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close() //nolint:errcheck // nothing is written any more
	if err := connection.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(connection, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	response, err = http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(content)
}

func TestWebSocketHandshakeIsRefusedForGood(t *testing.T) {
	server := serve(t, pages.Refusal{Code: pages.PaymentFailed, Host: "alice.example.com"})
	for accept, want := range map[string]string{"": typeText, "\nAccept: text/html": typeText, "\nAccept: application/json": typeJSON} {
		response, body := exchange(t, server, "GET /realtime/ HTTP/1.1\nHost: alice.example.com\nConnection: keep-alive, Upgrade\n"+
			"Upgrade: WebSocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="+accept+"\n\n")
		if response.StatusCode != http.StatusPaymentRequired || !response.Close || response.Header.Get("Content-Type") != want {
			t.Errorf("accept %q: %s, close %v, %v", accept, response.Status, response.Close, response.Header)
		}
		if !strings.Contains(body, "PAYMENT_FAILED") || len(body) > 1000 {
			t.Errorf("body: %q", body)
		}
	}
}

// HTTP/2 has its handshake in an extended CONNECT, and no Connection header.
func TestWebSocketOverHTTP2(t *testing.T) {
	r := httptest.NewRequest(http.MethodConnect, "/realtime/", nil)
	r.ProtoMajor, r.ProtoMinor, r.Proto = 2, 0, "HTTP/2.0"
	r.Header[":protocol"] = []string{"websocket"}
	w := httptest.NewRecorder()
	if err := builtIn(t).Write(w, r, pages.Refusal{Code: pages.Moving}); err != nil {
		t.Fatal(err)
	}
	if w.Code != 503 || w.Header().Get("Content-Type") != typeText || w.Header().Get("Connection") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestOrdinaryRequestsKeepTheirConnection(t *testing.T) {
	s := builtIn(t)
	for _, headers := range [][]string{{"Upgrade", "websocket"}, {"Connection", "upgrade", "Upgrade", "h2c"}, {"Connection", "upgraded", "Upgrade", "websocket"}} {
		w := ask(t, s, pages.Refusal{}, headers...)
		if w.Header().Get("Connection") != "" || w.Header().Get("Content-Type") != typeHTML {
			t.Errorf("%v: %v", headers, w.Header())
		}
	}
}

func TestHEADHasTheHeadersOfGET(t *testing.T) {
	server := serve(t, pages.Refusal{Code: pages.Deleting, Host: "alice.example.com", RetryAfter: time.Minute})
	for _, accept := range []string{"text/html", "text/plain", typeJSON, typeJSONAPI} {
		headers := make(map[string]http.Header)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			request, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept", accept)
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusGone {
				t.Errorf("%s: %s", method, response.Status)
			}
			want := response.ContentLength
			if method == http.MethodHead {
				want = 0
			}
			if int64(len(body)) != want || response.ContentLength <= 0 {
				t.Errorf("%s %s: %d bytes, Content-Length %d", method, accept, len(body), response.ContentLength)
			}
			response.Header.Del("Date")
			headers[method] = response.Header
		}
		if get, head := fmt.Sprint(headers["GET"]), fmt.Sprint(headers["HEAD"]); get != head {
			t.Errorf("GET  %s\nHEAD %s", get, head)
		}
	}
}

func TestPreflightIsRefusedAsWell(t *testing.T) {
	r := httptest.NewRequest(http.MethodOptions, "/data/io.cozy.files", nil)
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Access-Control-Request-Method", "POST")
	w := httptest.NewRecorder()
	if err := builtIn(t).Write(w, r, pages.Refusal{Code: pages.PaymentFailed}); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusPaymentRequired || w.Body.Len() == 0 {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
	for name := range w.Header() {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s in a refusal", name)
		}
	}
}

// untouched fails the test when somebody reads a request's body.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestBodiesAreNotRead(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "PROPFIND"} {
		r := httptest.NewRequest(method, "/files/", untouched{t})
		r.Header.Set("Accept", typeJSON)
		w := httptest.NewRecorder()
		if err := builtIn(t).Write(w, r, pages.Refusal{Code: pages.PaymentFailed}); err != nil {
			t.Fatal(err)
		}
		if got := decodeError(t, w.Body.Bytes()); got.Code != pages.PaymentFailed {
			t.Errorf("%s: %+v", method, got)
		}
	}
	// A client that waits for leave to send gets the refusal instead of it.
	server := serve(t, pages.Refusal{Code: pages.PaymentFailed})
	response, _ := exchange(t, server, "PUT /files/ HTTP/1.1\nHost: alice.example.com\nExpect: 100-continue\nContent-Length: 99999999\n\n")
	if response.StatusCode != http.StatusPaymentRequired {
		t.Errorf("Expect: 100-continue got %s", response.Status)
	}
}

// One Set answers many clients at a time, each with its own texts.
func TestConcurrentVisitors(t *testing.T) {
	s := builtIn(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failed := make(chan string, 8)
	for i := range 8 {
		go func() {
			host := fmt.Sprintf("host%d.example.com", i)
			accept := []string{"text/html", "text/plain", typeJSON, ""}[i%4]
			for range 100 {
				if ctx.Err() != nil {
					break
				}
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Accept", accept)
				w := httptest.NewRecorder()
				f := pages.Refusal{Code: fmt.Sprintf("Reason %d.", i), Host: host}
				err := s.Write(w, r, f)
				if err != nil || !strings.Contains(w.Body.String(), f.Code) || accept != typeJSON && !strings.Contains(w.Body.String(), host) {
					failed <- fmt.Sprintf("%v %s", err, w.Body)
					return
				}
			}
			failed <- ""
		}()
	}
	for range 8 {
		if problem := <-failed; problem != "" {
			t.Error(problem)
		}
	}
}
