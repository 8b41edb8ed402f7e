package main

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestCollector: the binary begins with its own setting, unless the environment has one.
func TestCollector(t *testing.T) {
	if _, set := os.LookupEnv("GOGC"); set {
		t.Skip("the environment has GOGC, which goes first")
	}
	if got := debug.SetGCPercent(gcPercent); got != gcPercent {
		t.Errorf("the collector began with GOGC=%d, want %d", got, gcPercent)
	}
}
