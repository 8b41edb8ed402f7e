// Refused: what a page with the reason costs.

package figure

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/load"
	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var refused = Figure{
	Name: "refused", Title: "A request that is refused",
	About:   "HTTP/1.1 with keep-alive, 32 connections, tenants drawn at random among the blocked ones. Garbage is the growth of `go_memstats_alloc_bytes_total` for each request, less what reading it costs; stock Caddy's `respond` with a short text is measured in the same way.",
	Measure: measureRefused,
}

// garbage is the value with the bytes allocated for each request.
const garbage = "garbage_bytes"

func measureRefused(ctx context.Context, e *Env, f *report.Figure) error {
	n := largest(e)
	stock, err := e.stockCaddy(ctx)
	if err != nil {
		return err
	}
	door, err := e.door(ctx, n)
	if err != nil {
		return err
	}
	slice := pick(e, 2400*time.Millisecond, 400*time.Millisecond)
	plan := func(port int, host load.AppendHost, status int, header string) load.Plan {
		return load.Plan{Address: peer.Address(port), Connections: connections, Host: host, Status: status, Header: header, Duration: slice}
	}
	unknown := func(dst []byte, _ *rand.Rand) []byte { return append(dst, "nobody.example.org"...) }
	const page = "blocked, HTML page"
	rows := []struct {
		name    string
		program *peer.Running
		plan    load.Plan
	}{
		{respondName, stock.Running, plan(stock.Respond, active(n), 200, "")},
		{page, door.Running, plan(door.HTTP, blocked(n), 402, "")},
		{"blocked, JSON", door.Running, plan(door.HTTP, blocked(n), 402, "Accept: application/json\r\n")},
		{"unknown, HTML page", door.Running, plan(door.HTTP, unknown, 404, "")},
	}
	var subjects []subject
	for _, r := range rows {
		subjects = append(subjects, subject{r.name, e.counted(r.program, e.traffic(r.program, r.plan))})
	}
	samples, err := e.interleave(ctx, "refused", pick(e, 10, 2), subjects)
	if err != nil {
		return err
	}
	f.Samples = samples
	table := report.Table{Columns: []string{"answer", "CPU µs/request", "of respond's", "requests/s", "p99 µs", "garbage B/request", "more than respond's"}}
	for _, r := range rows {
		table.Add(r.name, report.Cell(samples.Of(r.name, cpu), "%.1f"), report.Cell(samples.Ratio(r.name, respondName, cpu), "%.2f"), report.Cell(samples.Of(r.name, rate), "%.0f"),
			report.Cell(samples.Of(r.name, p99), "%.0f"), report.Cell(samples.Of(r.name, garbage), "%.0f"), report.Cell(samples.Difference(r.name, respondName, garbage), "%.0f"))
	}
	f.Tables = []report.Table{table}
	f.Goals = []report.Goal{
		report.AtLeast("pages of blocked instances: at least 20,000 a second", samples.Of(page, rate), 20_000, "%.0f"),
		report.AtMost("garbage for each: at most 64 B more than stock Caddy's `respond`", samples.Difference(page, respondName, garbage), 64, "%.0f"),
	}
	return nil
}

// counted adds the garbage of a slice to its values.
func (e *Env) counted(r *peer.Running, slice func(context.Context) (map[string]float64, error)) func(context.Context) (map[string]float64, error) {
	return func(ctx context.Context) (map[string]float64, error) {
		var at [3]float64 // before, before once more, and after
		var values map[string]float64
		for i := range at {
			var err error
			if i == 2 {
				if values, err = slice(ctx); err != nil {
					return nil, err
				}
			}
			if at[i], err = r.Metric(ctx, "go_memstats_alloc_bytes_total"); err != nil {
				return nil, err
			}
		}
		requests := values[rate] * values[elapsed]
		values[garbage] = ((at[2] - at[1]) - (at[1] - at[0])) / requests
		return values, nil
	}
}
