// Checked: the load generator against one that others have made.

package figure

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/fixture"
	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var checked = Figure{
	Name: "wrk", Title: "The generator beside wrk",
	About:   "The same slices by the harness's own generator and by wrk (2 threads, 32 connections, a Lua script with 16,384 hosts). The ratio to stock Caddy should not depend on who asks.",
	Measure: measureChecked,
}

const byWrk = ", by wrk"

// wrkScript gives each request the next of the prepared ones.
const wrkScript = `local requests, at = {}, math.random(16384)
for host in io.lines("%s") do
	requests[#requests + 1] = "GET /hello HTTP/1.1\r\nHost: " .. host .. "\r\nUser-Agent: bench\r\nAccept: text/html\r\n\r\n"
end
request = function()
	at = at %% #requests + 1
	return requests[at]
end
`

func measureChecked(ctx context.Context, e *Env, f *report.Figure) error {
	n := largest(e)
	stock, err := e.stockCaddy(ctx)
	if err != nil {
		return err
	}
	door, err := e.door(ctx, n)
	if err != nil {
		return err
	}
	script, err := writeScript(e.Folder, n)
	if err != nil {
		return err
	}
	slice := pick(e, 3*time.Second, time.Second) // of wrk, in whole seconds
	port, name := best(door)
	targets := []target{{stockName, stock.Running, stock.HTTP, n, other}, {name, door.Running, port, n, ours}}
	var subjects []subject
	for _, t := range targets {
		subjects = append(subjects, subject{t.name, e.traffic(t.program, plain(t.port, n, slice))},
			subject{t.name + byWrk, func(ctx context.Context) (map[string]float64, error) { return wrk(ctx, t, script, slice) }})
	}
	samples, err := e.interleave(ctx, "wrk", pick(e, 6, 2), subjects)
	if err != nil {
		return err
	}
	f.Samples = samples
	table := report.Table{Columns: []string{"proxy", "CPU µs/request", "of stock Caddy's", "requests/s"}}
	for _, by := range []string{"", byWrk} {
		for _, t := range targets {
			table.Add(t.name+by, report.Cell(samples.Of(t.name+by, cpu), "%.1f"), report.Cell(samples.Ratio(t.name+by, stockName+by, cpu), "%.2f"), report.Cell(samples.Of(t.name+by, rate), "%.0f"))
		}
	}
	f.Tables = []report.Table{table}
	return nil
}

// writeScript writes the Lua script, and the hosts that it reads.
func writeScript(folder string, n int) (string, error) {
	const hosts = 16384
	var names []byte
	for i := range hosts {
		names = append(fixture.AppendActive(names, i*7919%n), '\n')
	}
	file := filepath.Join(folder, "wrk.hosts")
	if err := os.WriteFile(file, names, 0o600); err != nil {
		return "", err
	}
	script := filepath.Join(folder, "wrk.lua")
	return script, os.WriteFile(script, fmt.Appendf(nil, wrkScript, file), 0o600)
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in ([\d.]+)(ms|s|m)`)
	wrkErrors   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)`)
)

// wrk is a slice of wrk's.
func wrk(ctx context.Context, t target, script string, slice time.Duration) (map[string]float64, error) {
	before, err := t.program.CPU()
	if err != nil {
		return nil, err
	}
	args := []string{"-t", "2", "-c", itoa(connections), "-d", itoa(int(slice/time.Second)) + "s", "-s", script, "http://" + peer.Address(t.port) + "/"}
	cmd := exec.CommandContext(ctx, "wrk", args...)
	proc.Bind(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("wrk %s: %w: %s", strings.Join(args, " "), err, out)
	}
	after, err := t.program.CPU()
	if err != nil {
		return nil, err
	}
	found := wrkRequests.FindSubmatch(out)
	if found == nil || wrkErrors.Match(out) {
		return nil, fmt.Errorf("wrk: %s", out)
	}
	requests, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		return nil, err
	}
	took, err := time.ParseDuration(string(found[2]) + string(found[3]))
	if err != nil {
		return nil, err
	}
	return map[string]float64{cpu: micro(after-before) / requests, rate: requests / took.Seconds()}, nil
}
