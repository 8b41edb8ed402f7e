//go:build unix

// What a proxied request costs: the CPU time of a process that does it in the handler, by
// reverse_proxy, or that only answers.

package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// roleVariable has the test's binary be one of the other processes.
	roleVariable = "GATEHOUSE_BENCH_ROLE"

	proxyConnections = 32
	proxyRounds      = 12 // at least, of slices in turn
	proxySlice       = 400 * time.Millisecond
)

// doors are what is compared, in turn.
var doors = []string{"proxy", "reverse_proxy", "respond"}

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "upstream":
		beUpstream()
	case "door":
		beDoor()
	case "load":
		beLoad()
	default:
		os.Exit(m.Run())
	}
}

// BenchmarkProxy has 32 connections that are kept send small requests as fast as they are
// answered: µs of CPU time for each, and the ratios. All in one process, interleaved in
// short slices; load and upstream are others. A ratio below 1 is in favour of the handler.
func BenchmarkProxy(b *testing.B) {
	upstream := startRole(b, "upstream")
	door := startRole(b, "door", upstream.line(b))
	var addresses map[string]string
	if err := json.Unmarshal([]byte(door.line(b)), &addresses); err != nil {
		b.Fatal(err)
	}
	load := startRole(b, "load")
	for _, body := range []int{0, 100} {
		b.Run(map[int]string{0: "GET", 100: "POST"}[body], func(b *testing.B) {
			var cpu, requests [3]float64
			for range max(b.N, proxyRounds) {
				for i, kind := range doors {
					before := door.number(b, "cpu")
					requests[i] += load.number(b, fmt.Sprintf("%s %d %d", addresses[kind], body, proxySlice))
					cpu[i] += door.number(b, "cpu") - before
				}
			}
			var each [3]float64
			for i, kind := range doors {
				each[i] = cpu[i] / requests[i] / 1e3
				b.ReportMetric(each[i], kind+"-µs/request")
			}
			b.ReportMetric(each[0]/each[1], "ratio")
			b.ReportMetric((each[0]-each[2])/(each[1]-each[2]), "ratio-without-respond")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// role is a process that answers lines with lines.
type role struct {
	in  *json.Encoder
	out *bufio.Scanner
}

func startRole(b *testing.B, name string, args ...string) *role {
	b.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { // the end of its input is that of the process
		in.Close()
		_ = cmd.Wait()
	})
	return &role{json.NewEncoder(in), bufio.NewScanner(out)}
}

func (r *role) line(b *testing.B) string {
	b.Helper()
	if !r.out.Scan() {
		b.Fatal("a process of the benchmark has ended: ", r.out.Err())
	}
	return r.out.Text()
}

func (r *role) number(b *testing.B, ask string) float64 {
	b.Helper()
	if err := r.in.Encode(ask); err != nil {
		b.Fatal(err)
	}
	line := r.line(b)
	n, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
	if err != nil {
		b.Fatal(line)
	}
	return n
}
