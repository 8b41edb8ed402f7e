// Gobench: the Go benchmarks of all packages.

package figure

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var gobench = Figure{
	Name: "go", Title: "Go benchmarks",
	About:   "`go test -bench . -benchmem` of the packages under `tenancy`. Those of `bench` itself are in the control plane's table.",
	Measure: measureGo,
}

// benchtimeVariable lets each benchmark run for another time than 1 s.
const benchtimeVariable = "BENCHTIME"

// asked are the benchmarks that a reader looks for first, by the beginning of their names.
var asked = []struct{ title, pkg, prefix string }{
	{"Finding an instance", "tenancy/directory", "Resolve"},
	{"Finding an instance", "tenancy/directory", "Decide"},
	{"One map, never changed: the floor", "tenancy/directory", "PlainMap"},
	{"A change", "tenancy/directory", "Apply"},
	{"Memory", "tenancy/directory", "Memory"},
	{"The snapshot", "tenancy/directory", "Snapshot"},
	{"Catching up from the store", "tenancy/embedded", "ChangesCatchUp"},
}

func measureGo(ctx context.Context, e *Env, f *report.Figure) error {
	benchtime := os.Getenv(benchtimeVariable)
	if benchtime == "" {
		benchtime = "1s"
	}
	pattern, packages := ".", []string{"./tenancy/..."}
	if e.Quick {
		benchtime, pattern, packages = "20ms", "^Benchmark(Decide|Memory|ChangesCatchUp)$", []string{"./tenancy/directory", "./tenancy/embedded"}
	}
	e.Say("go: running the benchmarks")
	all, err := runGo(ctx, e, benchtime, pattern, packages...)
	if err != nil {
		return err
	}
	first := report.Table{Title: "The directory", Columns: []string{"", "benchmark", "ns", "B", "allocations", "further"}}
	rest := report.Table{Title: "All others", Columns: []string{"package", "benchmark", "ns", "B", "allocations", "further"}}
	shown := map[int]bool{}
	for _, a := range asked {
		for i, b := range all {
			if !shown[i] && strings.HasSuffix(b.pkg, a.pkg) && strings.HasPrefix(b.name, a.prefix) {
				shown[i] = true
				first.Add(append([]string{a.title}, cells(&b)...)...)
			}
		}
	}
	for i, b := range all {
		if !shown[i] {
			_, pkg, _ := strings.Cut(b.pkg, "/gatehouse/")
			rest.Add(append([]string{pkg}, cells(&b)...)...)
		}
	}
	f.Tables = []report.Table{first, rest}
	f.Notes = append(f.Notes, fmt.Sprintf("Each ran for %s, once.", benchtime))
	return nil
}

func cells(b *benchmark) []string {
	format := "%.0f"
	if b.values["ns/op"] < 1000 {
		format = "%.1f"
	}
	return []string{b.name, b.value("ns/op", format), b.value("B/op", "%.0f"), b.value("allocs/op", "%.0f"), b.further()}
}
