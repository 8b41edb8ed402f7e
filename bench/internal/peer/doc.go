// Package peer has the proxies that are compared: how each is configured and started.
// All have one upstream, serve plain HTTP and TLS on loopback, write no access log, and
// otherwise are as their defaults have them.
package peer
