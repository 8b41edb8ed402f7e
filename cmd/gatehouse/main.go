// Gatehouse is Caddy with its standard modules and the front door's own.
package main

import (
	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/gatehouse-edge/gatehouse"
)

func main() {
	caddy.CustomBinaryName = "gatehouse"
	caddy.CustomLongDescription = `Gatehouse is a front door for many tenants: a Caddy that finds the instance
behind each request's Host, shows a page with the reason where the instance is
blocked or being deleted, and proxies everything else.

Start it with a configuration, then add an instance:

	gatehouse run --config Caddyfile
	gatehouse instances add alice.example.com`
	caddycmd.Main()
}
