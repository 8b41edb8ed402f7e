// Control: what adding, destroying and importing take.

package figure

import (
	"context"
	"strings"

	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var control = Figure{
	Name: "control", Title: "The control plane",
	About:   "Go benchmarks of `bench`: an instance with its 16 databases, one after the other, and an import of a thousand with the command's own batches. Requests are those to the store; a server on the network adds its round trips, of which some are in parallel.",
	Measure: measureControl,
}

func measureControl(ctx context.Context, e *Env, f *report.Figure) error {
	e.Say("control: adding and destroying")
	lives, err := runGo(ctx, e, pick(e, "50x", "3x"), "^BenchmarkLifecycle$", "./bench")
	if err != nil {
		return err
	}
	e.Say("control: importing")
	imports, err := runGo(ctx, e, "1x", pick(e, "^BenchmarkImport$", "^BenchmarkImport$/^embedded$"), "./bench")
	if err != nil {
		return err
	}
	one := report.Table{Title: "One instance", Columns: []string{"store", "requests to add", "ms to add", "requests to destroy", "ms to destroy"}}
	for _, b := range lives {
		one.Add(store(b.name), b.value("requests/add", "%.0f"), b.value("ms/add", "%.1f"), b.value("requests/destroy", "%.0f"), b.value("ms/destroy", "%.1f"))
	}
	many := report.Table{Title: "An import of 1,000 (of 200 on the pouchdb-server)", Columns: []string{"store", "instances/s", "requests for each"}}
	for _, b := range imports {
		many.Add(store(b.name), b.value("instances/s", "%.0f"), b.value("requests/instance", "%.1f"))
	}
	f.Tables = []report.Table{one, many}
	return nil
}

// store is the last part of a benchmark's name.
func store(name string) string { return name[strings.LastIndex(name, "/")+1:] }
