// Package caddymodule is what Caddy loads: the app `tenancy`, which has the
// store, the directory of instances and what a configuration says about changes;
// the handler `http.handlers.tenancy`, which lets the requests of serving
// instances through and answers the others; `http.reverse_proxy.upstreams.tenancy`,
// which says to which of several stacks a request goes; and
// `tls.permission.tenancy`, which says who may have a certificate.
//
// The way of a request begins at Handler.ServeHTTP. State that is to survive a
// reload of the configuration is in a runtime, which apps share by their store.
package caddymodule
