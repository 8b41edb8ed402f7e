// Tuning: what the garbage collector's setting is worth.

package figure

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var tuning = Figure{
	Name: "tuning", Title: "The garbage collector's setting",
	About:   "One Gatehouse for each setting, asked in turn as fast as it goes, through `proxy`. Ratios are to the binary as it is built, with the setting that it has by itself.",
	Measure: measureTuning,
}

// variant is a Gatehouse that is set otherwise.
type variant struct {
	name string
	env  []string
}

// asBuilt is the one that the others are compared to.
const asBuilt = "as it is"

func measureTuning(ctx context.Context, e *Env, f *report.Figure) error {
	variants := []variant{
		{asBuilt, nil}, {"GOGC=100", []string{"GOGC=100"}}, {"GOGC=200", []string{"GOGC=200"}}, {"GOGC=400", []string{"GOGC=400"}},
	}
	table := report.Table{Columns: []string{"tenants", "setting", "CPU µs/request", "of as it is", "p99 µs", "of as it is", "memory, MB"}}
	for _, n := range []int{1000, largest(e)} {
		if err := measureVariants(ctx, e, n, variants, f, &table); err != nil {
			return err
		}
	}
	f.Tables = []report.Table{table}
	f.Notes = append(f.Notes, "Memory is what is resident of the process's own after the slices. GOGC=200 is what the binary sets by itself, so that its row tells how far the others can be trusted.")
	return nil
}

func measureVariants(ctx context.Context, e *Env, n int, variants []variant, f *report.Figure, table *report.Table) error {
	slice := pick(e, 2400*time.Millisecond, 400*time.Millisecond)
	var subjects []subject
	doors := make([]*peer.Door, len(variants))
	for i, v := range variants {
		e.Say("starting Gatehouse with %s, %s", tenantsOf(n), v.name)
		d, err := e.StartDoor(ctx, e.Upstream.HTTP, n, v.env...)
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		defer d.Stop()
		port, _ := best(d)
		doors[i] = d
		subjects = append(subjects, subject{v.name, e.traffic(d.Running, plain(port, n, slice))})
	}
	samples, err := e.interleave(ctx, "tuning, "+tenantsOf(n), pick(e, 12, 2), subjects)
	if err != nil {
		return err
	}
	for i, v := range variants {
		memory, err := proc.Memory(doors[i].PID())
		if err != nil {
			return err
		}
		table.Add(tenantsOf(n), v.name, report.Cell(samples.Of(v.name, cpu), "%.1f"), report.Cell(samples.Ratio(v.name, asBuilt, cpu), "%.2f"),
			report.Cell(samples.Of(v.name, p99), "%.0f"), report.Cell(samples.Ratio(v.name, asBuilt, p99), "%.2f"), megabytes(memory))
	}
	f.Samples = append(f.Samples, prefixed(samples, tenantsOf(n)+": ")...)
	return nil
}
