// Whether the race detector is on: it is.

//go:build race

package apps_test

const raceEnabled = true
