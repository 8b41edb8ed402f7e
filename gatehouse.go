// Package gatehouse is the whole front door as Caddy modules: importing it
// for its side effects registers them.
//
//	xcaddy build --with github.com/gatehouse-edge/gatehouse
package gatehouse
