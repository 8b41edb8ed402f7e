// Listed: a list of all instances.

package figure

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/peer"
	"github.com/gatehouse-edge/gatehouse/bench/internal/proc"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

var listed = Figure{
	Name: "list", Title: "A list of all instances",
	About:   "`gatehouse instances ls --json` of a part, and of all: the memory of neither side may grow with the list. The server's is its peak while it answers, less what it had before; the store's file, which is mapped, does not count.",
	Measure: measureListed,
}

func measureListed(ctx context.Context, e *Env, f *report.Figure) error {
	n := largest(e)
	door, err := e.door(ctx, n)
	if err != nil {
		return err
	}
	table := report.Table{Columns: []string{"instances", "s", "instances/s", "peak memory of the command, MB", "more memory of the server, MB"}}
	for _, limit := range []int{n / 100, n / 10, n} {
		e.Say("list: %d instances", limit)
		before, err := proc.Memory(door.PID())
		if err != nil {
			return err
		}
		peak := proc.Watch(door.PID())
		took, client, err := list(ctx, e, door, limit)
		most := peak()
		if err != nil {
			return err
		}
		table.Add(itoa(limit), seconds(took), fmt.Sprintf("%.0f", float64(limit)/took.Seconds()), megabytes(client), megabytes(most-before))
	}
	f.Tables = []report.Table{table}
	return nil
}

// list runs the command, and gives how long it took and the most memory that it had.
func list(ctx context.Context, e *Env, door *peer.Door, limit int) (time.Duration, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var out lineCount
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, e.Gatehouse, "instances", "ls", "--json", "--limit", itoa(limit), "--address", peer.Address(door.Admin))
	proc.Bind(cmd)
	cmd.Stdout, cmd.Stderr = &out, &errs
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	peak := proc.Watch(cmd.Process.Pid)
	err := cmd.Wait()
	most := peak()
	if err != nil {
		return 0, 0, fmt.Errorf("instances ls: %w: %s", err, errs.String())
	}
	took := time.Since(begin)
	if int(out) != limit {
		return 0, 0, fmt.Errorf("instances ls: %d lines and not %d", out, limit)
	}
	return took, most, nil
}

// lineCount counts the lines that are written to it.
type lineCount int

func (l *lineCount) Write(p []byte) (int, error) {
	*l += lineCount(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}
