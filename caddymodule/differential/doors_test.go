// Doors: Caddy in this process, with each proxy before the same upstream, and one of
// either kind that trusts its clients.

package differential

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/gatehouse-edge/gatehouse/caddymodule"
)

type object = map[string]any

// Kinds of doors.
const (
	stock = "stock"
	own   = "own"
)

// door is where a client of a kind comes to.
func door(kind string, trusted bool) string {
	if trusted {
		return kind + ", trusted"
	}
	return kind
}

// run runs Caddy, with an upstream behind all doors, and gives their addresses. quick has
// the proxies wait for less than a second. It ends with the test.
func run(t *testing.T, upstream string, quick bool) map[string]string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatehouse-differential-")
	if err != nil {
		t.Fatal(err)
	}
	servers, addresses := object{}, map[string]string{}
	for _, trusted := range []bool{false, true} {
		for _, kind := range []string{stock, own} {
			address := freeAddress(t)
			tenancy := object{"handler": "tenancy", "unknown": "pass"}
			handlers := []object{tenancy}
			transport := object{"protocol": "http"}
			if kind == own {
				proxy := object{"upstreams": []string{upstream}, "errors": "pass"}
				if quick {
					proxy["response_header_timeout"], proxy["idle_timeout"] = "300ms", "300ms"
				}
				tenancy["proxy"] = proxy
			} else {
				if quick {
					transport["response_header_timeout"], transport["read_timeout"] = "300ms", "300ms"
				}
				handlers = append(handlers, object{"handler": "reverse_proxy", "upstreams": []object{{"dial": upstream}}, "transport": transport})
			}
			server := object{
				"listen": []string{address}, "automatic_https": object{"disable": true}, "protocols": []string{"h1", "h2c"},
				"routes": []object{{"handle": handlers}},
			}
			if trusted {
				server["trusted_proxies"] = object{"source": "static", "ranges": []string{"127.0.0.1/32"}}
			}
			servers[door(kind, trusted)] = server
			addresses[door(kind, trusted)] = address
		}
	}
	config, err := json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"writer": object{"output": "discard"}}}},
		"apps": object{
			"tenancy": object{"store": object{"driver": "embedded", "path": filepath.Join(dir, "data")}, "snapshot": "off"},
			"http":    object{"servers": servers, "grace_period": "1s"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	app, err := caddy.ActiveContext().App("tenancy")
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-app.(*caddymodule.App).Directory().Ready():
	case <-time.After(limit):
		t.Fatal("the directory is not ready")
	}
	return addresses
}

// freeAddress is one that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr())
}
