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
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var churn = Figure{
	Name: "churn", Title: "While instances are added, blocked and destroyed",
	About:   "Requests for other tenants at an even rate; in other slices, in random order, 10 or 100 instances a second are added, blocked and destroyed through the admin API meanwhile, each with its 16 databases in the embedded store.",
	Measure: measureChurn,
}

const (
	churnWorkers = 32 // at a time
	churned      = "instances_s"
	quietName    = "quiet"
	fewName      = "10 instances a second"
	churnName    = "100 instances a second"
)

func measureChurn(ctx context.Context, e *Env, f *report.Figure) error {
	n := largest(e)
	door, err := e.door(ctx, n)
	if err != nil {
		return err
	}
	port, name := best(door)
	speed, err := e.calm(ctx, door.Running, port, n, 0.2)
	if err != nil {
		return err
	}
	slice := pick(e, 5*time.Second, 1500*time.Millisecond)
	calm := e.traffic(door.Running, paced(port, n, slice, speed))
	var number atomic.Int64
	changing := func(rate int) func(context.Context) (map[string]float64, error) {
		return func(ctx context.Context) (map[string]float64, error) {
			c := changes{door: door, number: &number, rate: rate}
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
	}
	samples, err := e.interleave(ctx, "churn", pick(e, 10, 2), []subject{{quietName, calm}, {fewName, changing(10)}, {churnName, changing(100)}})
	if err != nil {
		return err
	}
	f.Samples = samples
	table := report.Table{Columns: []string{name + ", " + tenantsOf(n), "instances/s", "p50 µs", "p99 µs", "p99 of the quiet", "CPU of the process, cores"}}
	for _, s := range []string{quietName, fewName, churnName} {
		cores := samples.Of(s, cpu).Median * samples.Of(s, rate).Median / 1e6
		table.Add(s, report.Cell(samples.Of(s, churned), "%.0f"), report.Cell(samples.Of(s, p50), "%.0f"), report.Cell(samples.Of(s, p99), "%.0f"), report.Cell(samples.Ratio(s, quietName, p99), "%.2f"), fmt.Sprintf("%.2f", cores))
	}
	f.Tables = []report.Table{table}
	goal := report.AtMost("p99 of other tenants while 100 instances a second come and go: at most 1.1 of the quiet", samples.Ratio(churnName, quietName, p99), 1.1, "%.2f")
	if got := samples.Of(churnName, churned).Median; got < 90 {
		goal.Holds += fmt.Sprintf("; %.0f a second were reached", got)
		f.Notes = append(f.Notes, "This machine does not make 100 a second beside the traffic, so that row is that of a front door which does nothing but changes, as many as it can.")
	}
	f.Goals = []report.Goal{goal}
	f.Notes = append(f.Notes, fmt.Sprintf("The rate was %.0f requests/s, about 0.2 of what this front door can do here.", speed))
	return nil
}

// changes adds, blocks and destroys instances until it is stopped.
type changes struct {
	door   *peer.Door
	number *atomic.Int64 // of the next instance
	rate   int           // instances a second
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
		tick := time.NewTicker(time.Second / time.Duration(c.rate))
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
