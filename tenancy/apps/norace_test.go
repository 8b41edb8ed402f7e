// Whether the race detector is on: it is not.

//go:build !race

package apps_test

const raceEnabled = false
