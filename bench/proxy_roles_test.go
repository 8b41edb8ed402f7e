//go:build unix

// The other processes of BenchmarkProxy: a front door, its upstream, and its clients.

package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/gatehouse-edge/gatehouse/caddymodule"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// niceness is that of all: others may be at work.
const niceness = 10

// lines answers each line of the input until it ends.
func lines(answer func(ask string) any) {
	for in := json.NewDecoder(os.Stdin); ; {
		var ask string
		if in.Decode(&ask) != nil {
			return
		}
		fmt.Println(answer(ask))
	}
}

func listen() net.Listener {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return l
}

// beUpstream answers every request with the same, for as little as it can.
func beUpstream() {
	l := listen()
	fmt.Println(l.Addr())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				br := bufio.NewReader(conn)
				for skipMessage(br) == nil {
					if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 70\r\nCache-Control: no-store\r\n\r\n"+strings.Repeat("0123456789", 7)); err != nil {
						return
					}
				}
			}()
		}
	}()
	lines(func(string) any { return "" })
}

// skipMessage reads a message with a length or without a body.
func skipMessage(br *bufio.Reader) error {
	length := 0
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			_, err := br.Discard(length)
			return err
		}
		if name := []byte("content-length: "); len(line) > len(name) && bytes.EqualFold(line[:len(name)], name) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return err
			}
		}
	}
}

// beDoor is Caddy with one instance behind three servers. It tells its CPU time.
func beDoor() {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	type object = map[string]any
	upstream := os.Args[1]
	handlers := map[string][]object{
		"proxy":         {{"handler": "tenancy", "proxy": object{"upstreams": []string{upstream}}}},
		"reverse_proxy": {{"handler": "tenancy"}, {"handler": "reverse_proxy", "upstreams": []object{{"dial": upstream}}}},
		"respond":       {{"handler": "tenancy"}, {"handler": "static_response", "body": strings.Repeat("0123456789", 7)}},
	}
	servers, addresses := object{}, map[string]string{}
	for _, kind := range doors {
		l := listen()
		addresses[kind] = l.Addr().String()
		l.Close()
		servers[kind] = object{"listen": []string{addresses[kind]}, "automatic_https": object{"disable": true}, "routes": []object{{"handle": handlers[kind]}}}
	}
	config, err := json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "ERROR"}}},
		"apps": object{
			"tenancy": object{"store": object{"driver": "embedded", "path": filepath.Join(dir, "data")}, "snapshot": "off"},
			"http":    object{"servers": servers},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		log.Fatal(err)
	}
	app, err := caddy.ActiveContext().App("tenancy")
	if err != nil {
		log.Fatal(err)
	}
	domain, err := tenancy.ParseDomain("alice.example.com")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := app.(*caddymodule.App).Lifecycle().Add(context.Background(), domain, lifecycle.Change{}, nil); err != nil {
		log.Fatal(err)
	}
	told, err := json.Marshal(addresses)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(told))
	lines(func(string) any {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			log.Fatal(err)
		}
		return used.Utime.Nano() + used.Stime.Nano()
	})
	_ = caddy.Stop()
}

// beLoad sends requests for a time, and tells how many were answered.
func beLoad() {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness)
	lines(func(ask string) any {
		var address string
		var body int
		var slice time.Duration
		if _, err := fmt.Sscan(ask, &address, &body, (*int64)(&slice)); err != nil {
			log.Fatal(err)
		}
		head := "GET / HTTP/1.1\r\n"
		if body > 0 {
			head = fmt.Sprintf("POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n", body)
		}
		request := head + "Host: alice.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\nAccept-Language: fr, en;q=0.5\r\nCookie: session=0123456789abcdef\r\n\r\n" + strings.Repeat("x", body)
		var answered atomic.Int64
		var all sync.WaitGroup
		end := time.Now().Add(slice)
		for range proxyConnections {
			all.Go(func() {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					log.Fatal(err)
				}
				defer conn.Close()
				for br := bufio.NewReader(conn); time.Now().Before(end); answered.Add(1) {
					if _, err := io.WriteString(conn, request); err != nil {
						log.Fatal(err)
					}
					status, err := br.Peek(12)
					if err != nil || string(status) != "HTTP/1.1 200" {
						log.Fatalf("%s answers %q, %v", address, status, err)
					}
					if err := skipMessage(br); err != nil {
						log.Fatal(err)
					}
				}
			})
		}
		all.Wait()
		return answered.Load()
	})
}
