// Package bench measures what the project claims, with its peers in the same
// run where it claims to be better. `make bench` runs it.
package bench
