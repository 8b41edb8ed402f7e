// Fleet: how fast a block is at every front door of one store.

package figure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-edge/gatehouse/bench/internal/load"
	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
	"github.com/gatehouse-edge/gatehouse/bench/internal/stats"
)

var fleet = Figure{
	Name: "fleet", Title: "A block at three front doors",
	About:   "Three front doors on one store. An instance is blocked through the first; each is asked for it every millisecond. The time is from the answer of the admin API until a door refuses; 0 where it did so before.",
	Measure: measureFleet,
}

const (
	doors      = 3
	fleetNames = 5                // instances, in turn
	blockLimit = 10 * time.Second // a door that is slower fails the figure
)

func measureFleet(ctx context.Context, e *Env, f *report.Figure) error {
	store, stop, err := openCouchDB(e)
	if err != nil {
		return err
	}
	defer stop()
	var all []*peer.Door
	for range doors {
		e.Say("fleet: starting a front door on %s", store.kind)
		d, err := e.StartDoorOn(ctx, store.url, store.user, store.env, e.Upstream.HTTP)
		if err != nil {
			return err
		}
		defer d.Stop()
		all = append(all, d)
	}
	names := make([]string, fleetNames)
	for i := range names {
		names[i] = fmt.Sprintf("fleet%d-%d.bench.example", i, rand.Uint32())
		if _, err := all[0].Call(ctx, http.MethodPost, "/instances", "application/json", `{"Domain":"`+names[i]+`","Locale":"en"}`); err != nil {
			return err
		}
		defer func() { // with a time limit of its own, since a Ctrl-C has ended ctx
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			_, _ = all[0].Call(ctx, http.MethodDelete, "/instances/"+names[i], "", "") // the store may be kept
		}()
		if err := setBlocked(ctx, all, names[i], false, nil); err != nil {
			return err
		}
	}
	rounds := pick(e, 200, 20)
	for round := range rounds {
		if round%20 == 0 {
			e.Say("fleet: block %d of %d", round, rounds)
		}
		name := names[round%len(names)]
		record := func(door int, late time.Duration) {
			subject := "another front door"
			if door == 0 {
				subject = "the front door that was told"
			}
			f.Samples = append(f.Samples, stats.Sample{Subject: subject, Round: round, Values: map[string]float64{"late_ms": milli(late)}})
		}
		if err := setBlocked(ctx, all, name, true, record); err != nil {
			return err
		}
		if err := setBlocked(ctx, all, name, false, nil); err != nil {
			return err
		}
	}
	table := report.Table{Columns: []string{store.kind, "blocks", "p50 ms", "p99 ms", "most ms"}}
	var others []float64
	for _, subject := range []string{"the front door that was told", "another front door"} {
		var late []float64
		for _, s := range f.Samples {
			if s.Subject == subject {
				late = append(late, s.Values["late_ms"])
			}
		}
		table.Add(subject, itoa(len(late)), fmt.Sprintf("%.1f", stats.Quantile(late, 0.5)), fmt.Sprintf("%.1f", stats.Quantile(late, 0.99)), fmt.Sprintf("%.1f", stats.Of(late).Max))
		others = late
	}
	f.Tables = []report.Table{table}
	f.Goals = []report.Goal{report.AtMost("a block is at another front door, p99: within 100 ms", stats.Of([]float64{stats.Quantile(others, 0.99)}), 100, "%.1f ms")}
	return nil
}

// setBlocked blocks an instance through the first door, or unblocks it, and waits until all
// doors do as they were told. record may be nil.
func setBlocked(ctx context.Context, all []*peer.Door, name string, want bool, record func(door int, late time.Duration)) error {
	ctx, cancel := context.WithTimeout(ctx, blockLimit)
	defer cancel()
	status := http.StatusOK
	if want {
		status = http.StatusPaymentRequired
	}
	seen := make([]time.Time, len(all))
	group, ctx := errgroup.WithContext(ctx)
	for i, d := range all {
		group.Go(func() (err error) {
			seen[i], err = load.Until(ctx, peer.Address(d.HTTP), name, status)
			return err
		})
	}
	body := fmt.Sprintf(`{"Blocked":%t,"BlockingReason":"PAYMENT_FAILED"}`, want)
	if !want {
		body = `{"Blocked":false}`
	}
	_, err := all[0].Call(ctx, http.MethodPatch, "/instances/"+name, "application/json", body)
	answered := time.Now()
	if e := group.Wait(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	for i := range all {
		if record != nil {
			record(i, max(0, seen[i].Sub(answered)))
		}
	}
	return nil
}

func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
