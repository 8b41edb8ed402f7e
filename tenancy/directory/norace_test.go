// Whether the race detector is on: it is not.

//go:build !race

package directory_test

const raceEnabled = false
