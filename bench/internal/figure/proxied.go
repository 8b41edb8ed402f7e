// Proxied: what a request costs on its way through each proxy.

package figure

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
	"github.com/gatehouse-edge/gatehouse/bench/internal/stats"
)

var proxied = Figure{
	Name: "proxy", Title: "A request through the proxy",
	About:   "HTTP/1.1 with keep-alive, 32 connections, 34 bytes of body, each request for another tenant drawn at random. CPU is that of the proxy's processes alone.",
	Measure: measureProxied,
}

const (
	stockName   = "Caddy, reverse_proxy"
	respondName = "Caddy, respond (floor: no upstream)"
	nginxName   = "nginx"
	haproxyName = "HAProxy"
	directName  = "no proxy at all"
)

func itoa(n int) string { return strconv.Itoa(n) }

// target is a port of a program, with the number of tenants that its requests are for.
type target struct {
	name    string
	program *peer.Running
	port    int
	tenants int
	kind
}

// kind tells targets apart in tables and plots.
type kind int

const (
	other   kind = iota
	ceiling      // no proxy
	mapped       // a peer that looks hosts up
	ours
)

// line starts all proxies, and gives what ends them.
func line(ctx context.Context, e *Env) (targets []target, stop func(), notes []string, err error) {
	var running []*peer.Running
	stop = func() {
		for _, r := range running {
			r.Stop()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	n := largest(e)
	stock, err := e.stockCaddy(ctx)
	if err != nil {
		return nil, stop, nil, err
	}
	targets = []target{
		{directName, e.Upstream, e.Upstream.HTTP, n, ceiling},
		{respondName, stock.Running, stock.Respond, n, other},
		{stockName, stock.Running, stock.HTTP, n, other},
	}
	for _, hosts := range []int{0, n} {
		for _, p := range []struct {
			name  string
			start func(context.Context, int, int) (*peer.Running, error)
		}{{nginxName, e.Nginx}, {haproxyName, e.HAProxy}} {
			r, err := p.start(ctx, e.Upstream.HTTP, hosts)
			if err != nil {
				return nil, stop, nil, err
			}
			running = append(running, r)
			name, k := p.name, other
			if hosts > 0 {
				k = mapped
				name += ", map of " + tenantsOf(hosts)
			}
			targets = append(targets, target{name, r, r.HTTP, n, k})
		}
	}
	for _, size := range sizes(e) {
		d, err := e.door(ctx, size)
		if err != nil {
			return nil, stop, nil, err
		}
		targets = append(targets, target{"Gatehouse, reverse_proxy, " + tenantsOf(size), d.Running, d.HTTP, size, ours})
		if d.ProxyHTTP != 0 {
			targets = append(targets, target{"Gatehouse, proxy, " + tenantsOf(size), d.Running, d.ProxyHTTP, size, ours})
		} else if size == n {
			notes = append(notes, noProxy)
		}
	}
	return targets, stop, notes, nil
}

func measureProxied(ctx context.Context, e *Env, f *report.Figure) error {
	targets, stop, notes, err := line(ctx, e)
	if err != nil {
		return err
	}
	defer stop()
	f.Notes = notes
	rounds, slice := pick(e, 12, 2), pick(e, 2500*time.Millisecond, 400*time.Millisecond)
	var flat []subject
	for _, t := range targets {
		flat = append(flat, subject{t.name, e.traffic(t.program, plain(t.port, t.tenants, slice))})
	}
	full, err := e.interleave(ctx, "proxy, as fast as it goes", rounds, flat)
	if err != nil {
		return err
	}
	// A rate that leaves all of them time: the slowest is stock Caddy, or is near it.
	speed := max(100, float64(int(full.Of(stockName, rate).Median*0.4/100))*100)
	var calm []subject
	for _, t := range targets {
		if t.kind == ceiling || t.kind == mapped {
			continue
		}
		calm = append(calm, subject{t.name, e.traffic(t.program, paced(t.port, t.tenants, slice, speed))})
	}
	even, err := e.interleave(ctx, "proxy, at an even rate", rounds, calm)
	if err != nil {
		return err
	}
	f.Samples = append(f.Samples, full...)
	flatTable := report.Table{Title: "As fast as it goes", Columns: []string{"proxy", "CPU µs/request", "of stock Caddy's", "requests/s", "p50 µs", "p99 µs", "generator µs", "upstream µs"}}
	evenTable := report.Table{Title: fmt.Sprintf("At %.0f requests/s", speed), Columns: []string{"proxy", "CPU µs/request", "of stock Caddy's", "p50 µs", "p99 µs", "p99 of stock Caddy's"}}
	var bars []report.Bar
	for _, t := range targets {
		own, share := full.Of(t.name, cpu), report.Cell(full.Ratio(t.name, stockName, cpu), "%.2f")
		if t.kind == ceiling {
			own, share = stats.Spread{}, "–"
		} else {
			bars = append(bars, report.Bar{Name: t.name, Value: own.Median, Low: own.Q1, High: own.Q3, Highlight: t.kind == ours})
		}
		flatTable.Add(t.name, report.Cell(own, "%.1f"), share, report.Cell(full.Of(t.name, rate), "%.0f"), report.Cell(full.Of(t.name, p50), "%.0f"),
			report.Cell(full.Of(t.name, p99), "%.0f"), report.Cell(full.Of(t.name, generator), "%.1f"), report.Cell(full.Of(t.name, behind), "%.1f"))
		if even.Of(t.name, cpu).N == 0 {
			continue
		}
		evenTable.Add(t.name, report.Cell(even.Of(t.name, cpu), "%.1f"), report.Cell(even.Ratio(t.name, stockName, cpu), "%.2f"), report.Cell(even.Of(t.name, p50), "%.0f"), report.Cell(even.Of(t.name, p99), "%.0f"), report.Cell(even.Ratio(t.name, stockName, p99), "%.2f"))
	}
	f.Tables = []report.Table{flatTable, evenTable}
	f.Plots = []report.Plot{{File: "cpu.svg", Title: "CPU for each request, by proxy", SVG: report.Bars("CPU for each request, by proxy", "microseconds, as fast as it goes; less is better; the line is from quartile to quartile", bars)}}
	f.Samples = append(f.Samples, prefixed(even, "paced: ")...)
	size := tenantsOf(largest(e))
	own, through := "Gatehouse, proxy, "+size, "Gatehouse, reverse_proxy, "+size
	measured := own
	if full.Of(own, cpu).N == 0 {
		measured = through
	}
	f.Goals = []report.Goal{
		report.AtMost("CPU for each request with "+size+", `proxy`: at most 0.55 of stock Caddy's", full.Ratio(own, stockName, cpu), 0.55, "%.2f"),
		report.AtMost("… at most 2.6 of nginx's", full.Ratio(own, nginxName, cpu), 2.6, "%.2f"),
		report.AtMost("p99 at an even rate with "+size+" ("+measured+"): no more than stock Caddy's", even.Ratio(measured, stockName, p99), 1, "%.2f"),
	}
	f.Notes = append(f.Notes, "“No proxy at all” is the generator at the upstream directly: what the two can do on this machine, and so the ceiling of the column requests/s.",
		"Where a proxy is cheap, the generator and the upstream take most of the cores; requests/s then say less than CPU does.")
	return nil
}

func prefixed(s stats.Samples, prefix string) (out stats.Samples) {
	for _, sample := range s {
		sample.Subject = prefix + sample.Subject
		out = append(out, sample)
	}
	return out
}
