// Package e2e tests the built binary as its users know it: over HTTP and TLS,
// by its command line, with real stores, and killed at any moment.
package e2e
