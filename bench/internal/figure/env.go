// Env: what figures share, and how slices are interleaved.

package figure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/load"
	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
	"github.com/gatehouse-edge/gatehouse/bench/internal/stats"
)

// Env is a run.
type Env struct {
	*peer.Bed
	Upstream *peer.Running
	Quick    bool
	Root     string // of the module

	cast cast
}

// Figure measures one thing.
type Figure struct {
	Name, Title, About string
	Measure            func(context.Context, *Env, *report.Figure) error
}

// All are the figures in the order of the report.
func All() []Figure {
	return []Figure{proxied, checked, secure, tenants, refused, tuning, reload, listed, churn, fleet, control, gobench}
}

// connections is how many clients there are at a time.
const connections = 32

// pick is the first value in a full run, and the second in a quick one.
func pick[T any](e *Env, full, quick T) T {
	if e.Quick {
		return quick
	}
	return full
}

// subject is one of several that are measured in turn.
type subject struct {
	name  string
	slice func(ctx context.Context) (map[string]float64, error)
}

// interleave measures all subjects in each round, in a new order each time. So what else the
// machine does, and how warm it is, meets all alike; and ratios are made within a round.
// A first round is measured and thrown away, to warm up.
func (e *Env) interleave(ctx context.Context, what string, rounds int, subjects []subject) (stats.Samples, error) {
	var samples stats.Samples
	for round := range rounds + 1 {
		e.Say("%s: round %d of %d", what, round, rounds)
		for _, i := range rand.Perm(len(subjects)) {
			values, err := subjects[i].slice(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", subjects[i].name, err)
			}
			if round > 0 {
				samples = append(samples, stats.Sample{Subject: subjects[i].name, Round: round, Values: values})
			}
		}
	}
	return samples, nil
}

// Names of the values of a slice with traffic. CPU and latency are in microseconds.
const (
	cpu        = "cpu_us"       // of the proxy, for each request
	rate       = "requests_s"   // answered
	p50        = "p50_us"       //
	p99        = "p99_us"       //
	failures   = "failures"     // requests that failed
	generator  = "generator_us" // CPU of the load generator, for each request
	behind     = "upstream_us"  // CPU of the upstream, for each request
	elapsed    = "elapsed_s"    // length of the slice
	reconnects = "reconnects"   // connections that the proxy has closed
)

// traffic makes a slice that sends a plan's requests to a program.
func (e *Env) traffic(r *peer.Running, plan load.Plan) func(context.Context) (map[string]float64, error) {
	clocks := func() (t [3]time.Duration, err error) {
		for i, read := range []func() (time.Duration, error){r.CPU, e.Upstream.CPU, func() (time.Duration, error) { return proc.CPU(os.Getpid()) }} {
			if t[i], err = read(); err != nil {
				return t, err
			}
		}
		return t, nil
	}
	return func(ctx context.Context) (map[string]float64, error) {
		before, err := clocks()
		if err != nil {
			return nil, err
		}
		result, err := load.Run(ctx, plan)
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		after, err := clocks()
		if err != nil {
			return nil, err
		}
		if result.Errors > result.Requests/100 {
			return nil, fmt.Errorf("%d of %d requests have failed: %w", result.Errors, result.Requests+result.Errors, result.FirstError)
		}
		n := float64(result.Requests)
		each := func(i int) float64 { return micro(after[i]-before[i]) / n }
		return map[string]float64{
			cpu: each(0), behind: each(1), generator: each(2),
			elapsed: result.Elapsed.Seconds(), rate: n / result.Elapsed.Seconds(), p50: micro(result.Latency.Quantile(0.5)), p99: micro(result.Latency.Quantile(0.99)),
			failures: float64(result.Errors), reconnects: float64(result.Reconnects),
		}, nil
	}
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
