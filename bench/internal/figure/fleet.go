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
	About:   "Three front doors on one store. An instance is blocked through the first; each is asked for it every millisecond. The time is until a door refuses: from the sending of the request to the admin API, and from its answer (0 where the door was first).",
	Measure: measureFleet,
}

// Subjects and values.
const (
	toldName     = "the front door that was told"
	otherName    = "another front door"
	afterRequest = "after_request_ms"
	afterAnswer  = "after_answer_ms"
)

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
	rounds := pick(e, 100, 10)
	for round := range rounds {
		if round%20 == 0 {
			e.Say("fleet: block %d of %d", round, rounds)
		}
		name := names[round%len(names)]
		record := func(door int, asked, answered time.Duration) {
			subject := otherName
			if door == 0 {
				subject = toldName
			}
			f.Samples = append(f.Samples, stats.Sample{Subject: subject, Round: round, Values: map[string]float64{afterRequest: milli(asked), afterAnswer: milli(answered)}})
		}
		if err := setBlocked(ctx, all, name, true, record); err != nil {
			return err
		}
		if err := setBlocked(ctx, all, name, false, nil); err != nil {
			return err
		}
	}
	table := report.Table{Columns: []string{store.kind, "blocks", "after the answer: p50 ms", "p99 ms", "most ms", "after the request: p50 ms", "p99 ms", "most ms"}}
	for _, subject := range []string{toldName, otherName} {
		row := []string{subject, itoa(f.Samples.Of(subject, afterAnswer).N)}
		for _, value := range []string{afterAnswer, afterRequest} {
			for _, q := range []float64{0.5, 0.99, 1} {
				row = append(row, fmt.Sprintf("%.1f", f.Samples.Quantile(subject, value, q)))
			}
		}
		table.Add(row...)
	}
	f.Tables = []report.Table{table}
	f.Notes = append(f.Notes, "The admin API answers after the audit has been written, and the row mostly is at the others before that: hence the zeros.")
	f.Goals = []report.Goal{report.AtMost("a block is at another front door, p99: within 100 ms", stats.Of([]float64{f.Samples.Quantile(otherName, afterAnswer, 0.99)}), 100, "%.1f ms")}
	return nil
}

// setBlocked blocks an instance through the first door, or unblocks it, and waits until all
// doors do as they were told. record may be nil.
func setBlocked(ctx context.Context, all []*peer.Door, name string, want bool, record func(door int, asked, answered time.Duration)) error {
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
	sent := time.Now()
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
			record(i, seen[i].Sub(sent), max(0, seen[i].Sub(answered)))
		}
	}
	return nil
}

func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
