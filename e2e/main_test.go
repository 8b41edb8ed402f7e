// What all end-to-end tests share: the binary, built once with the race detector.

package e2e

import (
	stdflag "flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the path of the built gatehouse.
var binary string

func TestMain(m *testing.M) {
	stdflag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatehouse-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "gatehouse")
		build := exec.Command("go", "build", "-race", "-o", binary, "github.com/gatehouse-edge/gatehouse/cmd/gatehouse")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the binary:", err)
			return 1
		}
		// They mostly wait for other processes.
		chosen := false
		stdflag.Visit(func(f *stdflag.Flag) { chosen = chosen || f.Name == "test.parallel" })
		if !chosen {
			_ = stdflag.Set("test.parallel", "4") // a number is taken
		}
		return m.Run()
	}())
}
