// Whether the race detector is on: it is.

//go:build race

package directory_test

const raceEnabled = true
