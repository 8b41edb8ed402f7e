// Churn: whether the other tenants feel it when instances come and go.

package figure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var churn = Figure{
	Name: "churn", Title: "While instances are added, blocked and destroyed",
	About:   "Requests for other tenants at an even rate; in every second slice, in random order, 100 instances a second are added, blocked and destroyed through the admin API meanwhile, with all their databases in the embedded store.",
	Measure: measureChurn,
}

const (
	churnRate    = 100 // instances a second
	churnWorkers = 32  // at a time
	churned      = "instances_s"
	quietName    = "quiet"
	churnName    = "with changes"
)

func measureChurn(ctx context.Context, e *Env, f *report.Figure) error {
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
	var number atomic.Int64
	changing := func(ctx context.Context) (map[string]float64, error) {
		c := changes{door: door, number: &number}
		stop := c.start(ctx)
		values, err := calm(ctx)
		done := c.done.Load()
		if e := stop(); err == nil {
			err = e
		}
		if err == nil {
			values[churned] = float64(done) / values[elapsed]
		}
		return values, err
	}
	samples, err := e.interleave(ctx, "churn", pick(e, 10, 3), []subject{{quietName, calm}, {churnName, changing}})
	if err != nil {
		return err
	}
	f.Samples = samples
	table := report.Table{Columns: []string{name + ", " + tenantsOf(n), "instances/s", "p50 µs", "p99 µs", "p99 of the quiet", "CPU of the process, cores"}}
	for _, s := range []string{quietName, churnName} {
		cores := samples.Of(s, cpu).Median * samples.Of(s, rate).Median / 1e6
		table.Add(s, report.Cell(samples.Of(s, churned), "%.0f"), report.Cell(samples.Of(s, p50), "%.0f"), report.Cell(samples.Of(s, p99), "%.0f"), report.Cell(samples.Ratio(s, quietName, p99), "%.2f"), fmt.Sprintf("%.2f", cores))
	}
	f.Tables = []report.Table{table}
	f.Goals = []report.Goal{report.AtMost(
		fmt.Sprintf("p99 of other tenants while %.0f instances a second come and go (wanted: %d): at most 1.1 of the quiet", samples.Of(churnName, churned).Median, churnRate),
		samples.Ratio(churnName, quietName, p99), 1.1, "%.2f")}
	if got := samples.Of(churnName, churned).Median; got < 0.9*churnRate {
		f.Goals[0].Holds += fmt.Sprintf(", at %.0f a second", got)
		f.Notes = append(f.Notes, fmt.Sprintf("This machine does not make %d a second beside the traffic: each has 16 databases, and its documents are synced to disk.", churnRate))
	}
	f.Notes = append(f.Notes, fmt.Sprintf("The rate was %.0f requests/s, about 0.2 of what this front door can do here.", speed))
	now, peak, err := proc.RSS(door.PID())
	f.Notes = append(f.Notes, "Memory resident after it: "+megabytes(now)+" MB, at the peak "+megabytes(peak)+" MB.")
	return err
}

// changes adds, blocks and destroys instances until it is stopped.
type changes struct {
	door   *peer.Door
	number *atomic.Int64 // of the next instance
	done   atomic.Int64  // instances that have come and gone

	mu    sync.Mutex
	first error
}

// start begins, and gives what ends it and waits for those under way.
func (c *changes) start(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	turns := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		defer close(turns)
		tick := time.NewTicker(time.Second / churnRate)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	})
	for range churnWorkers {
		group.Go(func() {
			for range turns {
				if err := c.life(context.WithoutCancel(ctx)); err != nil { // what was begun is ended
					c.mu.Lock()
					c.first = err
					c.mu.Unlock()
				}
			}
		})
	}
	return func() error {
		cancel()
		group.Wait()
		return c.first
	}
}

// life is that of one instance.
func (c *changes) life(ctx context.Context) error {
	domain := fmt.Sprintf("new%d-%d.bench.example", c.number.Add(1), rand.Uint32())
	const jsonType = "application/json"
	if _, err := c.door.Call(ctx, http.MethodPost, "/instances", jsonType, `{"Domain":"`+domain+`","Locale":"en"}`); err != nil {
		return err
	}
	if _, err := c.door.Call(ctx, http.MethodPatch, "/instances/"+domain, jsonType, `{"Blocked":true,"BlockingReason":"PAYMENT_FAILED"}`); err != nil {
		return err
	}
	if _, err := c.door.Call(ctx, http.MethodDelete, "/instances/"+domain, "", ""); err != nil {
		return err
	}
	c.done.Add(1)
	return nil
}
