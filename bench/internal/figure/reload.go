// Reload: another configuration with all tenants loaded.

package figure

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
	"github.com/gatehouse-edge/gatehouse/bench/internal/stats"
)

var reload = Figure{
	Name: "reload", Title: "Through reloads of the configuration",
	About:   "Requests at an even rate; in every second slice, in random order, a changed Caddyfile is given to the admin endpoint in the middle. Caddy closes the connections of the old configuration, so all 32 are made anew. The peak is that of the slice (`clear_refs`, `VmHWM`).",
	Measure: measureReload,
}

const (
	reloadTime = "reload_s"
	growth     = "peak_of_before" // peak of the resident memory in the slice, of that before
	reloadName = "with a reload"
)

func measureReload(ctx context.Context, e *Env, f *report.Figure) error {
	n := largest(e)
	door, err := e.StartDoor(ctx, e.Upstream.HTTP, n)
	if err != nil {
		return err
	}
	defer door.Stop()
	port, name := best(door)
	speed, err := e.calm(ctx, door.Running, port, n, 0.2)
	if err != nil {
		return err
	}
	slice := pick(e, 5*time.Second, 1500*time.Millisecond)
	calm := e.traffic(door.Running, paced(port, n, slice, speed))
	round := 0
	measured := func(with bool) func(context.Context) (map[string]float64, error) {
		return func(ctx context.Context) (map[string]float64, error) {
			before, _, err := proc.RSS(door.PID())
			if err != nil {
				return nil, err
			}
			if err := proc.ResetPeak(door.PID()); err != nil {
				return nil, err
			}
			took := make(chan result, 1)
			if with {
				round++
				config := door.Other(round)
				go func() { took <- takeUp(ctx, door.Call, config, slice/2) }()
			}
			values, err := calm(ctx)
			if err != nil {
				return nil, err
			}
			if with {
				r := <-took
				if r.err != nil {
					return nil, r.err
				}
				values[reloadTime] = r.took.Seconds()
			}
			_, peak, err := proc.RSS(door.PID())
			values[growth] = float64(peak) / float64(before)
			return values, err
		}
	}
	samples, err := e.interleave(ctx, "reload", pick(e, 10, 3), []subject{{quietName, measured(false)}, {reloadName, measured(true)}})
	if err != nil {
		return err
	}
	f.Samples = samples
	table := report.Table{Columns: []string{name + ", " + tenantsOf(n), "reload, s", "p50 µs", "p99 µs", "p99 of the quiet", "peak memory of that before", "failed requests", "connections made anew"}}
	for _, s := range []string{quietName, reloadName} {
		table.Add(s, report.Cell(samples.Of(s, reloadTime), "%.3f"), report.Cell(samples.Of(s, p50), "%.0f"), report.Cell(samples.Of(s, p99), "%.0f"), report.Cell(samples.Ratio(s, quietName, p99), "%.2f"),
			report.Cell(samples.Of(s, growth), "%.3f"), report.Cell(samples.Of(s, failures), "%.0f"), report.Cell(samples.Of(s, reconnects), "%.0f"))
	}
	f.Tables = []report.Table{table}
	f.Goals = []report.Goal{
		report.AtMost("a reload with "+tenantsOf(n)+": at most 0.5 s", samples.Of(reloadName, reloadTime), 0.5, "%.3f"),
		report.AtMost("peak memory in a slice with a reload: at most 1.1 of that before (no second copy of the directory)", samples.Of(reloadName, growth), 1.1, "%.3f"),
		report.AtMost("p99 of a slice with a reload: at most 1.1 of the quiet", samples.Ratio(reloadName, quietName, p99), 1.1, "%.2f"),
		lost(samples),
	}
	f.Notes = append(f.Notes, fmt.Sprintf("The rate was %.0f requests/s, about 0.2 of what this front door can do here.", speed))
	return nil
}

// lost is the goal that no request fails; the worst slice counts.
func lost(samples stats.Samples) report.Goal {
	most := samples.Of(reloadName, failures).Max
	g := report.Goal{Claim: "requests that fail in a slice with a reload: none", Measured: fmt.Sprintf("%.0f in the worst slice", most), Holds: "yes"}
	if most > 0 {
		g.Holds = "no"
	}
	return g
}

// result is how long a reload took.
type result struct {
	took time.Duration
	err  error
}

// takeUp waits, and then has a configuration taken up.
func takeUp(ctx context.Context, call func(ctx context.Context, method, path, contentType, body string) (string, error), config string, wait time.Duration) result {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return result{err: ctx.Err()}
	}
	begin := time.Now()
	_, err := call(ctx, http.MethodPost, "/load", "text/caddyfile", config)
	return result{time.Since(begin), err}
}
