// Go test: running Go's own benchmarks, and reading what they say.

package figure

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
)

// benchmark is one line of a result.
type benchmark struct {
	pkg, name string             // the name without Benchmark and the number of processors
	values    map[string]float64 // by unit: ns/op, B/op, …
	units     []string           // in their order
}

// runGo runs benchmarks of packages. What a benchmark prints is in the error where it fails.
func runGo(ctx context.Context, e *Env, benchtime, pattern string, packages ...string) ([]benchmark, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	args := append([]string{"test", "-run", "^$", "-bench", pattern, "-benchmem", "-benchtime", benchtime, "-timeout", "1h"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	proc.Bind(cmd)
	cmd.Dir = e.Root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out[max(0, len(out)-2000):])
	}
	return parseGo(out), nil
}

var processors = regexp.MustCompile(`-\d+$`)

// parseGo reads the format of https://go.dev/design/14313-benchmark-format.
func parseGo(out []byte) (all []benchmark) {
	pkg := ""
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 2 && fields[0] == "pkg:" {
			pkg = fields[1]
		}
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		b := benchmark{pkg: pkg, name: processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), ""), values: map[string]float64{}}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				break
			}
			b.values[fields[i+1]] = v
			b.units = append(b.units, fields[i+1])
		}
		all = append(all, b)
	}
	return all
}

// value is one of a benchmark as a table has it.
func (b *benchmark) value(unit, format string) string {
	v, ok := b.values[unit]
	if !ok {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// further are the values of units that Go's own benchmarks do not have by themselves.
func (b *benchmark) further() string {
	var words []string
	for _, unit := range b.units {
		switch unit {
		case "ns/op", "B/op", "allocs/op":
		default:
			words = append(words, strconv.FormatFloat(b.values[unit], 'g', 4, 64)+" "+unit)
		}
	}
	return strings.Join(words, ", ")
}
