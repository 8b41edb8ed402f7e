// Package caddymodule is what Caddy loads: the app `tenancy`, which has the
// store and the directory of instances; the handler `http.handlers.tenancy`,
// which lets the requests of serving instances through and answers the others;
// and `tls.permission.tenancy`, which says who may have a certificate.
//
// The way of a request begins at Handler.ServeHTTP. State that is to survive a
// reload of the configuration is in a runtime, which apps share by their store.
package caddymodule
