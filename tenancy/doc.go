// Package tenancy is the domain of a multi-tenant platform: the instance (one
// tenant, with its own domain and databases), its domain's one normal form,
// its state, the reason for a block, and the errors of a change.
//
// It knows neither a web server nor a database. The packages below it do:
// couch and embedded store documents, directory finds the instance behind a
// host in memory, lifecycle makes changes, provision says what a new instance
// consists of.
package tenancy
