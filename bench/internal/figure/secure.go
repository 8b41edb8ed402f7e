// Secure: the same over TLS, with HTTP/1 and with HTTP/2.

package figure

import (
	"context"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/load"
	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var secure = Figure{
	Name: "tls", Title: "The same over TLS",
	About:   "One self-made wildcard certificate (ECDSA P-256) in all proxies. A connection is one tenant's, as a browser's is: 32 connections with HTTP/1.1, and 8 with 4 requests at a time with HTTP/2. The handshakes at the beginning of a slice are counted.",
	Measure: measureSecure,
}

const (
	overHTTP1 = ", HTTP/1.1 over TLS"
	overHTTP2 = ", HTTP/2"
)

func measureSecure(ctx context.Context, e *Env, f *report.Figure) error {
	var running []*peer.Running
	defer func() {
		for _, r := range running {
			r.Stop()
		}
	}()
	n := largest(e)
	var targets []target
	stock, err := e.stockCaddy(ctx)
	if err != nil {
		return err
	}
	targets = append(targets, target{stockName, stock.Running, stock.HTTPS, n, other})
	nginx, err := e.Nginx(ctx, e.Upstream.HTTP, 0)
	if err != nil {
		return err
	}
	running = append(running, nginx)
	targets = append(targets, target{nginxName, nginx, nginx.HTTPS, n, other})
	haproxy, err := e.HAProxy(ctx, e.Upstream.HTTP, 0)
	if err != nil {
		return err
	}
	running = append(running, haproxy)
	targets = append(targets, target{haproxyName, haproxy, haproxy.HTTPS, n, other})
	door, err := e.door(ctx, n)
	if err != nil {
		return err
	}
	targets = append(targets, target{"Gatehouse, reverse_proxy", door.Running, door.HTTPS, n, ours})
	if door.ProxyHTTPS != 0 {
		targets = append(targets, target{"Gatehouse, proxy", door.Running, door.ProxyHTTPS, n, ours})
	} else {
		f.Notes = append(f.Notes, noProxy)
	}
	slice := pick(e, 2400*time.Millisecond, 400*time.Millisecond)
	var subjects []subject
	for _, t := range targets {
		plan := load.Plan{Address: peer.Address(t.port), Roots: e.Cert.Roots, Connections: connections, Host: active(n), Status: 200, Duration: slice}
		subjects = append(subjects, subject{t.name + overHTTP1, e.traffic(t.program, plan)})
		plan.HTTP2, plan.Connections, plan.Streams = true, connections/4, 4
		subjects = append(subjects, subject{t.name + overHTTP2, e.traffic(t.program, plan)})
	}
	samples, err := e.interleave(ctx, "tls", pick(e, 10, 2), subjects)
	if err != nil {
		return err
	}
	f.Samples = samples
	for _, protocol := range []string{overHTTP1, overHTTP2} {
		table := report.Table{Title: protocol[2:] + ", " + tenantsOf(n), Columns: []string{"proxy", "CPU µs/request", "of stock Caddy's", "requests/s", "p50 µs", "p99 µs", "p99 of stock Caddy's"}}
		for _, t := range targets {
			name, base := t.name+protocol, stockName+protocol
			table.Add(t.name, report.Cell(samples.Of(name, cpu), "%.1f"), report.Cell(samples.Ratio(name, base, cpu), "%.2f"), report.Cell(samples.Of(name, rate), "%.0f"),
				report.Cell(samples.Of(name, p50), "%.0f"), report.Cell(samples.Of(name, p99), "%.0f"), report.Cell(samples.Ratio(name, base, p99), "%.2f"))
		}
		f.Tables = append(f.Tables, table)
	}
	return nil
}
