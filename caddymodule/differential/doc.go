// Package differential sends the same requests through Caddy's reverse_proxy and through the
// proxy of the tenancy handler, and compares what the upstream and the client see. What
// differs is listed with its reason, here and in docs/proxy.md, and nothing else may.
package differential
