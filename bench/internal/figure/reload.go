// Reload: another configuration with all tenants loaded.

package figure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
	"github.com/gatehouse-edge/gatehouse/bench/internal/stats"
)

var reload = Figure{
	Name: "reload", Title: "Through reloads of the configuration",
	About:   "Requests at an even rate; in other slices, in random order, a changed Caddyfile is given to the admin endpoint in the middle; stock Caddy, of whose own way of reloading all of it is a part, beside it. Caddy closes the connections of the old configuration, so all 32 are made anew. The peak of memory is that of the slice, looked at every 5 ms.",
	Measure: measureReload,
}

const (
	reloadTime  = "reload_s"
	growth      = "peak_of_before" // peak of the memory in the slice, of that before
	reloadName  = "with a reload"
	stockQuiet  = "stock Caddy, quiet"
	stockReload = "stock Caddy, with a reload"
)

func measureReload(ctx context.Context, e *Env, f *report.Figure) error {
	n := largest(e)
	stock, err := e.stockCaddy(ctx)
	if err != nil {
		return err
	}
	door, err := e.door(ctx, n)
	if err != nil {
		return err
	}
	port, name := best(door)
	speed, err := e.calm(ctx, door.Running, port, n, 0.2)
	if err != nil {
		return err
	}
	slice := pick(e, 5*time.Second, time.Second)
	front := traced{door.Running, e.traffic(door.Running, paced(port, n, slice, speed)), slice / 2}
	peers := traced{stock.Running, e.traffic(stock.Running, paced(stock.HTTP, n, slice, speed)), slice / 2}
	samples, err := e.interleave(ctx, "reload", pick(e, 10, 2), []subject{
		{quietName, front.quiet}, {reloadName, front.reloaded}, {stockQuiet, peers.quiet}, {stockReload, peers.reloaded},
	})
	if err != nil {
		return err
	}
	f.Samples = samples
	table := report.Table{Columns: []string{name + ", " + tenantsOf(n), "reload, s", "p50 µs", "p99 µs", "p99 of the quiet", "peak memory of that before", "failed requests", "connections made anew"}}
	for _, s := range []string{quietName, reloadName, stockQuiet, stockReload} {
		base := quietName
		if s == stockReload || s == stockQuiet {
			base = stockQuiet
		}
		table.Add(s, report.Cell(samples.Of(s, reloadTime), "%.3f"), report.Cell(samples.Of(s, p50), "%.0f"), report.Cell(samples.Of(s, p99), "%.0f"), report.Cell(samples.Ratio(s, base, p99), "%.2f"),
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

// traced is a program with traffic whose memory is looked at meanwhile.
type traced struct {
	program *peer.Running
	traffic func(context.Context) (map[string]float64, error)
	wait    time.Duration // until a reload
}

func (t *traced) quiet(ctx context.Context) (map[string]float64, error) {
	before, err := proc.Memory(t.program.PID())
	if err != nil {
		return nil, err
	}
	peak := proc.Watch(t.program.PID())
	values, err := t.traffic(ctx)
	most := peak()
	if err == nil {
		values[growth] = float64(most) / float64(before)
	}
	return values, err
}

// reloaded is quiet with a reload in the middle.
func (t *traced) reloaded(ctx context.Context) (map[string]float64, error) {
	type outcome struct {
		took time.Duration
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		took, err := takeUp(ctx, t.program, t.wait)
		done <- outcome{took, err}
	}()
	values, err := t.quiet(ctx)
	o := <-done
	if err = errors.Join(err, o.err); err != nil {
		return nil, err
	}
	values[reloadTime] = o.took.Seconds()
	return values, nil
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

// takeUp waits, has a changed configuration taken up, and gives how long that took.
func takeUp(ctx context.Context, program *peer.Running, wait time.Duration) (time.Duration, error) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	begin := time.Now()
	_, err := program.Call(ctx, http.MethodPost, "/load", "text/caddyfile", program.Changed())
	return time.Since(begin), err
}
