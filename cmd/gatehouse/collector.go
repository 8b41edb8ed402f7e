// Collector: how much memory is traded for the collector's work.

package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is GOGC where the environment has none. Half as many collections as with
// Go's 100 are worth some hundredths of a request's CPU, for half as much memory again:
// bench/RESULTS.md has what it is with a thousand instances and with a million. Caddy sets
// GOMEMLIMIT by the control group's limit, or the machine's memory, so that the collector
// works harder before memory runs out.
//
// https://pkg.go.dev/runtime#hdr-Environment_Variables
const gcPercent = 200

func init() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
}
