package main

import (
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// child has this test's process tell its setting, and end.
const child = "GATEHOUSE_TEST_COLLECTOR"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		_, _ = os.Stdout.WriteString(strconv.Itoa(debug.SetGCPercent(100)))
		return
	}
	os.Exit(m.Run())
}

// TestCollector: the binary has its own setting, unless the environment has one.
func TestCollector(t *testing.T) {
	var bare []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GOGC=") {
			bare = append(bare, v)
		}
	}
	for env, want := range map[string]string{child + "=yes": strconv.Itoa(gcPercent), "GOGC=50": "50", "GOGC=off": "-1"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(append([]string{child + "=yes"}, bare...), env)
		if out, err := cmd.Output(); err != nil || string(out) != want {
			t.Errorf("with %s it is %q (%v), want %s", env, out, err, want)
		}
	}
}
