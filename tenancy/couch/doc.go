// Package couch is the door to the store: a CouchDB cluster, or the embedded
// store, whose documents the packages above read and write as raw JSON.
//
// It wraps kivik with what running a fleet asks for: one Cluster for several
// nodes of a CouchDB cluster and a way round the dead ones, credentials that are
// read when they are needed, a time limit on every call, bounded connections,
// and errors that can be compared. The code above cannot tell which driver it has.
package couch
