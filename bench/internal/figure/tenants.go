// Tenants: whether the number of tenants is felt.

package figure

import (
	"context"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var tenants = Figure{
	Name: "tenants", Title: "The number of tenants",
	About:   "One Gatehouse for each number of tenants, all asked at the same even rate in turn; stock Caddy, which knows none, beside them. Start is from the start of the process until the store has been read through its changes feed, without a snapshot.",
	Measure: measureTenants,
}

func measureTenants(ctx context.Context, e *Env, f *report.Figure) error {
	stock, err := e.stockCaddy(ctx)
	if err != nil {
		return err
	}
	slice := pick(e, 2400*time.Millisecond, 400*time.Millisecond)
	speed, err := e.calm(ctx, stock.Running, stock.HTTP, largest(e), 0.4)
	if err != nil {
		return err
	}
	subjects := []subject{{stockName, e.traffic(stock.Running, paced(stock.HTTP, largest(e), slice, speed))}}
	var doors []*peer.Door
	var kept []int64
	name := ""
	for _, n := range pick(e, []int{1000, 10_000, 100_000, 1_000_000}, []int{1000, 10_000, 100_000}) {
		d, err := e.door(ctx, n)
		if err != nil {
			return err
		}
		doors = append(doors, d)
		var port int
		port, name = best(d)
		subjects = append(subjects, subject{tenantsOf(n), e.traffic(d.Running, paced(port, n, slice, speed))})
	}
	samples, err := e.interleave(ctx, "tenants", pick(e, 12, 2), subjects)
	if err != nil {
		return err
	}
	for _, d := range doors {
		now, err := proc.Memory(d.PID())
		if err != nil {
			return err
		}
		kept = append(kept, now)
	}
	f.Samples = samples
	table := report.Table{Columns: []string{name, "CPU µs/request", "p50 µs", "p99 µs", "p99 of stock Caddy's", "start, s", "memory, MB"}}
	own, flat := report.Line{Name: name}, report.Line{Name: stockName}
	for i, d := range doors {
		row := tenantsOf(d.Tenants)
		table.Add(row, report.Cell(samples.Of(row, cpu), "%.1f"), report.Cell(samples.Of(row, p50), "%.0f"), report.Cell(samples.Of(row, p99), "%.0f"),
			report.Cell(samples.Ratio(row, stockName, p99), "%.2f"), seconds(d.Loaded), megabytes(kept[i]))
		own.X, own.Y = append(own.X, float64(d.Tenants)), append(own.Y, samples.Of(row, p99).Median)
		flat.X, flat.Y = append(flat.X, float64(d.Tenants)), append(flat.Y, samples.Of(stockName, p99).Median)
	}
	table.Add(stockName, report.Cell(samples.Of(stockName, cpu), "%.1f"), report.Cell(samples.Of(stockName, p50), "%.0f"), report.Cell(samples.Of(stockName, p99), "%.0f"), "1", "–", "–")
	f.Tables = []report.Table{table}
	f.Plots = []report.Plot{{File: "p99.svg", Title: "p99 against the number of tenants", SVG: report.Lines("p99 against the number of tenants", "tenants", "microseconds at an even rate", []report.Line{flat, own})}}
	f.Notes = append(f.Notes, "Memory is what is resident of the process's own, after the slices and without the store's file, which is mapped. Go's collector lets it be up to three times what is in use, by the binary's own `GOGC=200`.",
		"The rate was "+itoa(int(speed))+" requests/s, about 0.4 of what stock Caddy can do here.",
		"In the plot stock Caddy's line is one value, since it has no tenants.")
	return nil
}

// calm is a part of the rate that a port can answer, measured in a short slice.
func (e *Env) calm(ctx context.Context, r *peer.Running, port, n int, part float64) (float64, error) {
	values, err := e.traffic(r, plain(port, n, pick(e, 2*time.Second, 400*time.Millisecond)))(ctx)
	if err != nil {
		return 0, err
	}
	return max(100, float64(int(values[rate]*part/100))*100), nil
}
