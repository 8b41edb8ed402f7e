// Command peers measures Gatehouse beside its peers, and writes what it has found as
// Markdown with plots. bench/README.md tells how; `make bench` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/figure"
	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
)

// Time limits of a whole run.
const (
	fullLimit  = 3 * time.Hour
	quickLimit = 15 * time.Minute
)

// options are the command's flags.
type options struct {
	quick     bool
	only, out string
	json      string
	gatehouse string
}

func main() {
	var o options
	var names []string
	for _, f := range figure.All() {
		names = append(names, f.Name)
	}
	flag.BoolVar(&o.quick, "quick", false, "few and short slices, and 100,000 tenants in the place of 1,000,000")
	flag.StringVar(&o.only, "only", "", "measure these alone, by commas: "+strings.Join(names, ", "))
	flag.StringVar(&o.out, "out", "", "the Markdown file; plots go beside it (default bench/RESULTS.md or RESULTS-quick.md; with --only, standard output)")
	flag.StringVar(&o.json, "json", "", "a file for all slices as JSON")
	flag.StringVar(&o.gatehouse, "gatehouse", "", "a binary of Gatehouse to measure; else that of this checkout is built")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "peers: there are no arguments, only flags; see --help")
		os.Exit(2)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer end()
	limit := fullLimit
	if o.quick {
		limit = quickLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	env, clean, err := prepare(ctx, o.quick, o.gatehouse)
	if err != nil {
		return err
	}
	defer clean()
	r := &report.Report{Quick: o.quick, Machine: machine(ctx, env, o.gatehouse)}
	var failed []error
	for _, f := range chosen {
		measured := &report.Figure{Name: f.Name, Title: f.Title, About: f.About}
		begin := time.Now()
		if err := f.Measure(ctx, env, measured); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", f.Name, ctx.Err()) // half a report is none
			}
			measured.Error = err.Error()
			env.Dismiss()
			failed = append(failed, fmt.Errorf("%s: %w", f.Name, err))
			env.Say("%s: %v", f.Name, err)
		}
		env.Say("%s: done in %s", f.Name, time.Since(begin).Round(time.Second))
		r.Figures = append(r.Figures, measured)
	}
	if err := write(r, o, filepath.Join(env.Root, "bench")); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// choose finds figures by their names.
func choose(only string) ([]figure.Figure, error) {
	all := figure.All()
	if only == "" {
		return all, nil
	}
	var chosen []figure.Figure
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, f := range all {
			if f.Name == strings.TrimSpace(name) {
				chosen, found = append(chosen, f), true
			}
		}
		if !found {
			return nil, fmt.Errorf("--only: there is no figure %q; see --help", name)
		}
	}
	return chosen, nil
}

// write writes the report's files.
func write(r *report.Report, o options, folder string) error {
	if o.json != "" {
		raw, err := r.JSON()
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, raw, 0o644); err != nil {
			return err
		}
	}
	plots := "plots"
	if r.Quick {
		plots = "quick"
	}
	switch {
	case o.out != "":
	case o.only != "":
		_, err := fmt.Print(r.Markdown(plots))
		return err
	case r.Quick:
		o.out = filepath.Join(folder, "RESULTS-quick.md")
	default:
		o.out = filepath.Join(folder, "RESULTS.md")
	}
	if err := os.WriteFile(o.out, []byte(r.Markdown(plots)), 0o644); err != nil {
		return err
	}
	pictures := filepath.Join(filepath.Dir(o.out), plots)
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		return err
	}
	for _, f := range r.Figures {
		for _, p := range f.Plots {
			if err := os.WriteFile(filepath.Join(pictures, p.File), []byte(p.SVG), 0o644); err != nil {
				return err
			}
		}
	}
	fmt.Fprintln(os.Stderr, "peers: wrote", o.out)
	return nil
}
