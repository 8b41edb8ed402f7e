// Package provision says what a new instance consists of: its databases, the
// indexes and views in them, and its first documents. It decides and does not
// act: lifecycle writes what it says.
//
// Every document that it makes has a fixed id, derived from the instance's own,
// so that a second run of an interrupted add writes the same again.
package provision
