// Edge builds a Caddy of one's own from a list of modules and versions, with
// xcaddy as a library.
//
//	go run ./cmd/edge --config xcaddy.json --output bin/gatehouse-edge
//
// Exit codes: 0 done, 1 failed, 2 usage, 130 interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caddyserver/xcaddy"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell has it for SIGINT
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stderr, build))
}

// builder makes a binary; in tests it is not xcaddy.
type builder func(ctx context.Context, b xcaddy.Builder, output string) error

// run is the whole command. What it says goes to stderr.
func run(ctx context.Context, args []string, stderr io.Writer, make builder) int {
	flags := flag.NewFlagSet("edge", flag.ContinueOnError)
	flags.SetOutput(stderr)
	config := flags.String("config", "xcaddy.json", "the `file` that says what the build contains")
	output := flags.String("output", filepath.Join("bin", "gatehouse-edge"), "the binary's `path`")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil: // flag has said it
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "edge: %q is not an argument; see --help\n", flags.Arg(0))
		return exitUsage
	case *output == "":
		fmt.Fprintln(stderr, "edge: --output is empty")
		return exitUsage
	}
	b, err := load(*config)
	if err != nil {
		fmt.Fprintf(stderr, "edge: %v\n", err)
		return exitUsage
	}
	progress := newProgress(stderr)
	log.SetFlags(0)
	log.SetOutput(progress)
	progress.say("building " + describe(b))
	progress.say("this takes minutes the first time")
	err = make(ctx, b, *output)
	switch {
	case ctx.Err() != nil:
		progress.say("interrupted")
		return exitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "edge: the build failed: %v\n", err)
		return exitFailed
	}
	progress.say("done: " + *output)
	return exitDone
}

// build is xcaddy's, in a temporary folder that goes away however it ends:
// xcaddy leaves its own behind when it is interrupted.
func build(ctx context.Context, b xcaddy.Builder, output string) error {
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	if !b.SkipCleanup {
		tmp, err := os.MkdirTemp("", "gatehouse-edge-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		if err := os.Setenv("TMPDIR", tmp); err != nil {
			return err
		}
	}
	return b.Build(ctx, output)
}

// describe names what is built, in a line.
func describe(b xcaddy.Builder) string {
	version := b.CaddyVersion
	if version == "" {
		version = "(latest)"
	}
	s := "Caddy " + version
	for i, p := range b.Plugins {
		if i == 0 {
			s += " with "
		} else {
			s += ", "
		}
		s += p.String()
	}
	return s
}

// progress writes lines with the time since the start.
type progress struct {
	out   io.Writer
	start time.Time
}

func newProgress(out io.Writer) *progress { return &progress{out: out, start: time.Now()} }

func (p *progress) say(line string) {
	fmt.Fprintf(p.out, "%6.1fs %s\n", time.Since(p.start).Seconds(), line)
}
