// Peers: Node, nginx and Go as upstreams, each with its own ways of connections.

package differential

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nodeServer echoes bodies, refuses long ones before they have come, and closes idle
// connections after a moment.
const nodeServer = `
const http = require('http');
const server = http.createServer((req, res) => {
	if (req.url === '/refuse') { res.writeHead(413, {Connection: 'close'}); res.end('long'); return; }
	if (req.url === '/hints') { res.writeEarlyHints({link: '</a.css>; rel=preload'}); res.end('hinted'); return; }
	if (req.url === '/trailer') { res.writeHead(200, {Trailer: 'X-Sum'}); res.write('hello'); res.addTrailers({'X-Sum': '1'}); res.end(); return; }
	res.writeHead(200, {'X-Method': req.method, 'X-Host': req.headers.host});
	req.pipe(res);
});
server.on('upgrade', (req, socket) => {
	socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
	socket.pipe(socket);
});
server.keepAliveTimeout = 100;
server.listen(PORT, '127.0.0.1');
`

const nginxConfig = `
daemon off; worker_processes 1; pid DIR/pid; error_log DIR/error.log;
events { worker_connections 256; }
http {
	access_log off; keepalive_requests 3; client_max_body_size 1m;
	client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; uwsgi_temp_path DIR/d; scgi_temp_path DIR/e;
	server {
		listen 127.0.0.1:PORT;
		location / { default_type text/plain; return 200 "nginx $request_method $host"; }
	}
}
`

// start runs a server as a process, until the test ends, and waits until it listens.
func start(t *testing.T, address, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name) // not in everybody's PATH
	}
	if err != nil {
		t.Fatalf("the tests of the proxy need %s; `make deps` installs nginx, and Node.js is at https://nodejs.org", name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			cancel()
			_ = cmd.Wait()
			t.Fatalf("%s does not listen: %s", name, &out)
		}
	}
}

// client asks a door; each test has connections of its own.
func client(t *testing.T) *http.Client {
	c := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: limit}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func do(t *testing.T, c *http.Client, method, url string, body io.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(method, url, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(method, url, err)
	}
	return resp, string(got)
}

// refusedEarly sends a body that is answered with 413 before it is at its end. A client
// that is slow to read while it writes may find its connection reset instead, as before
// any server that does not take the rest; but not each time.
func refusedEarly(t *testing.T, c *http.Client, url string, size int) {
	t.Helper()
	for range 10 {
		resp, err := c.Post(url, "text/plain", bytes.NewReader(make([]byte, size)))
		if err == nil {
			if resp.Body.Close(); resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("a body that is refused: %d", resp.StatusCode)
			}
			return
		}
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("a body that is refused: %v", err)
		}
	}
	t.Error("no client got to read why its body is refused")
}

func TestNode(t *testing.T) {
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	start(t, address, "node", "-e", strings.ReplaceAll(nodeServer, "PORT", port))
	url := "http://" + run(t, address, false)[own]
	c := client(t)
	long := bytes.Repeat([]byte("gatehouse"), 1<<20/9)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		for name, body := range map[string]io.Reader{"short": strings.NewReader("hello"), "long": bytes.NewReader(long), "chunks": io.MultiReader(bytes.NewReader(long)), "none": nil} {
			want := ""
			switch name {
			case "short":
				want = "hello"
			case "long", "chunks":
				want = string(long)
			}
			if resp, got := do(t, c, method, url+"/", body); resp.StatusCode != 200 || got != want || resp.Header.Get("X-Method") != method {
				t.Errorf("%s, %s: %d, %d bytes", method, name, resp.StatusCode, len(got))
			}
		}
	}
	refusedEarly(t, c, url+"/refuse", 20<<20)
	if resp, got := do(t, c, "GET", url+"/hints", nil); resp.StatusCode != 200 || got != "hinted" {
		t.Errorf("hints: %d %q", resp.StatusCode, got)
	}
	if resp, got := do(t, c, "GET", url+"/trailer", nil); got != "hello" || resp.Trailer.Get("X-Sum") != "1" {
		t.Errorf("trailer: %q %v", got, resp.Trailer)
	}
	// Node closes what is idle for 100 ms; requests come at about that time.
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 10 {
				time.Sleep(time.Duration(85+3*((i+j)%10)) * time.Millisecond)
				resp, err := c.Post(url, "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("on a connection that is about to be closed: %d", resp.StatusCode)
				}
			}
		})
	}
	all.Wait()
}

// TestUpgrade: a WebSocket's handshake goes to the reverse_proxy that the handler brings.
func TestUpgrade(t *testing.T) {
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	start(t, address, "node", "-e", strings.ReplaceAll(nodeServer, "PORT", port))
	conn, err := net.Dial("tcp", run(t, address, false)[own])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 101" {
		t.Fatalf("%q %v", head, err)
	}
	fmt.Fprint(conn, "there and back")
	var all []byte
	for buf := make([]byte, 100); !bytes.HasSuffix(all, []byte("there and back")); {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("%q %v", all, err)
		}
		all = append(all, buf[:n]...)
	}
}

func TestNginx(t *testing.T) {
	dir, address := t.TempDir(), freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, []byte(strings.NewReplacer("DIR", dir, "PORT", port).Replace(nginxConfig)), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, address, "nginx", "-c", config, "-p", dir)
	url := "http://" + run(t, address, false)[own]
	c := client(t)
	for i := range 30 { // it closes a connection after three requests
		method := []string{"GET", "POST", "PUT"}[i%3]
		var body io.Reader
		if method != "GET" {
			body = strings.NewReader("hello")
		}
		if resp, got := do(t, c, method, url+"/", body); resp.StatusCode != 200 || got != "nginx "+method+" 127.0.0.1" {
			t.Errorf("%s: %d %q", method, resp.StatusCode, got)
		}
	}
	refusedEarly(t, c, url+"/", 8<<20)
	if resp, got := do(t, c, "HEAD", url+"/", nil); resp.StatusCode != 200 || got != "" || resp.ContentLength != int64(len("nginx HEAD 127.0.0.1")) {
		t.Errorf("HEAD: %d %d", resp.StatusCode, resp.ContentLength)
	}
}

// TestHTTP2Clients: with bodies of each kind, both ways at once, and one that leaves.
func TestHTTP2Clients(t *testing.T) {
	left := make(chan struct{}, 1)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			left <- struct{}{}
		case "/early":
			_ = http.NewResponseController(w).EnableFullDuplex() // it would wait for the body
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "no")
		default:
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %x %v", r.Proto, r.Host, sha256.Sum256(body), err)
		}
	}))
	defer up.Close()
	address := run(t, up.Listener.Addr().String(), false)[own]
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: limit}
	long := bytes.Repeat([]byte("gatehouse"), 1<<20/9)
	for _, body := range []io.Reader{nil, bytes.NewReader(long), io.MultiReader(bytes.NewReader(long))} {
		method, content := "POST", long
		if body == nil {
			method, content = "GET", nil
		}
		resp, got := do(t, c, method, "http://"+address+"/", body)
		if want := fmt.Sprintf("HTTP/1.1 %s %x <nil>", address, sha256.Sum256(content)); resp.ProtoMajor != 2 || got != want {
			t.Errorf("%s: %q", resp.Proto, got)
		}
	}
	spaced, err := http.NewRequest("GET", "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	spaced.URL.RawQuery = "a HTTP/1.1"
	if resp, err := c.Do(spaced); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("a space in the query: %d", resp.StatusCode)
		}
	} else {
		t.Error(err)
	}
	never, end := io.Pipe()
	defer end.Close()
	if resp, got := do(t, c, "POST", "http://"+address+"/early", never); resp.StatusCode != http.StatusUnauthorized || got != "no" {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+"/wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	select {
	case <-left:
	case <-time.After(limit):
		t.Error("the upstream was not told that the client left")
	}
}
