// Machine: on what it was measured, and with which versions.

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/figure"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

// machine is the head of a report. What cannot be found out is a dash.
func machine(ctx context.Context, env *figure.Env, gatehouse string) []report.Fact {
	said := func(program string, args ...string) string {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir = env.Root
		out, err := cmd.CombinedOutput()
		line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		if err != nil {
			return "–"
		}
		return string(line)
	}
	version := said("git", "describe", "--tags", "--always", "--dirty")
	if gatehouse != "" {
		version = "a binary that was given: " + said(env.Gatehouse, "version")
	}
	return []report.Fact{
		{Name: "date", Value: time.Now().UTC().Format("2006-01-02 15:04 UTC")},
		{Name: "CPU", Value: fmt.Sprintf("%s, %d cores", in("/proc/cpuinfo", `model name\s*:\s*(.*)`), runtime.NumCPU())},
		{Name: "RAM", Value: in("/proc/meminfo", `MemTotal:\s*(.*)`)},
		{Name: "kernel", Value: in("/proc/sys/kernel/osrelease", `(.*)`) + ", " + in("/etc/os-release", `PRETTY_NAME="(.*)"`)},
		{Name: "load of the machine before the run (1, 5, 15 minutes)", Value: in("/proc/loadavg", `^(\S+ \S+ \S+)`)},
		{Name: "Gatehouse", Value: version},
		{Name: "Caddy, in both", Value: said("go", "list", "-m", "-f", "{{.Version}}", "github.com/caddyserver/caddy/v2")},
		{Name: "Go", Value: runtime.Version()},
		{Name: "nginx", Value: strings.TrimPrefix(said("nginx", "-v"), "nginx version: ")},
		{Name: "HAProxy", Value: said("haproxy", "-v")},
	}
}

// in is the first match in a file.
func in(file, pattern string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "–"
	}
	found := regexp.MustCompile(pattern).FindSubmatch(raw)
	if found == nil {
		return "–"
	}
	return string(bytes.TrimSpace(found[1]))
}
