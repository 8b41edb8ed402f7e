// Package testkit holds what the tests of all packages share: the stores that they
// run on, an embedded one, npm's pouchdb-server and, where there is one, a CouchDB;
// and a CA that issues certificates, Let's Encrypt's Pebble.
//
// A store or a CA that cannot be had is a failure that says what to install, never a
// skipped test; only CouchDB, which the environment names, may be absent.
package testkit
