// Package admin is the control plane's door: the instances API on Caddy's admin
// endpoint and on a listener of its own, in the shapes that a cozy-stack's command
// line knows, and the `instances` command, which speaks to it.
//
// A request finds the app of the configuration that runs at that moment, since
// the admin endpoint is older than every configuration. Work that has begun is
// not ended by a client that goes away, nor by a reload.
package admin
