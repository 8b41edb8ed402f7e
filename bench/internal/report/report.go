// Package report writes what was measured: as Markdown with plots, and as JSON.
package report

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gatehouse-edge/gatehouse/bench/internal/stats"
)

// Report is a whole run.
type Report struct {
	Quick   bool      `json:"quick"`
	Machine []Fact    `json:"machine"` // and versions
	Figures []*Figure `json:"figures"`
}

// Fact is a line of the head.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Figure is one thing that was measured.
type Figure struct {
	Name    string        `json:"name"` // as --only has it
	Title   string        `json:"title"`
	About   string        `json:"about"`
	Tables  []Table       `json:"tables,omitempty"`
	Plots   []Plot        `json:"-"`
	Notes   []string      `json:"notes,omitempty"`
	Goals   []Goal        `json:"goals,omitempty"`
	Error   string        `json:"error,omitempty"` // why it could not be measured
	Samples stats.Samples `json:"samples,omitempty"`
}

// Table is one of Markdown's.
type Table struct {
	Title   string     `json:"title,omitempty"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Plot is a picture in a file of its own.
type Plot struct{ File, Title, SVG string }

// Goal is a promise, and whether it was kept.
type Goal struct {
	Claim    string `json:"claim"`
	Measured string `json:"measured"`
	Holds    string `json:"holds"` // yes, no, or why it is not known
}

// AtMost is a goal with an upper limit for the median of a spread.
func AtMost(claim string, s stats.Spread, limit float64, format string) Goal {
	return judge(claim, s, s.Median <= limit, format)
}

// AtLeast is a goal with a lower limit.
func AtLeast(claim string, s stats.Spread, limit float64, format string) Goal {
	return judge(claim, s, s.Median >= limit, format)
}

func judge(claim string, s stats.Spread, holds bool, format string) Goal {
	g := Goal{Claim: claim, Measured: Cell(s, format), Holds: "no"}
	switch {
	case s.N == 0:
		g.Measured, g.Holds = "–", "not measured"
	case holds:
		g.Holds = "yes"
	}
	return g
}

// Cell is a spread as tables have it: the median, and the quartiles behind it.
func Cell(s stats.Spread, format string) string {
	switch {
	case s.N == 0:
		return "–"
	case s.N == 1:
		return fmt.Sprintf(format, s.Median)
	default:
		return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median, s.Q1, s.Q3)
	}
}

// JSON is the whole, with the slices.
func (r *Report) JSON() ([]byte, error) { return json.MarshalIndent(r, "", "\t") }

// Markdown is the whole for people. Plots are linked in a folder beside it.
func (r *Report) Markdown(plots string) string {
	var b strings.Builder
	b.WriteString("# Measured\n\n")
	if r.Quick {
		b.WriteString("**This is a quick run, with few and short slices: its figures are only good to try the harness.**\n\n")
	}
	b.WriteString("Made by `make bench`; how it is measured, and how far it can be trusted, is in [README.md](README.md).\nCells have the median of all slices, and the quartiles in parentheses.\n\n")
	facts := Table{Columns: []string{"", ""}}
	for _, f := range r.Machine {
		facts.Add(f.Name, f.Value)
	}
	facts.write(&b)
	goals := Table{Columns: []string{"goal", "measured", "holds"}}
	for _, f := range r.Figures {
		for _, g := range f.Goals {
			goals.Add(g.Claim, g.Measured, g.Holds)
		}
	}
	if len(goals.Rows) > 0 {
		b.WriteString("## Goals\n\n")
		goals.write(&b)
	}
	for _, f := range r.Figures {
		f.write(&b, plots)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (f *Figure) write(b *strings.Builder, plots string) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n", f.Title, f.About)
	if f.Error != "" {
		fmt.Fprintf(b, "Not measured: %s\n\n", oneLine(f.Error))
	}
	for _, p := range f.Plots {
		fmt.Fprintf(b, "![%s](%s/%s)\n\n", p.Title, plots, p.File)
	}
	for _, t := range f.Tables {
		t.write(b)
	}
	for _, n := range f.Notes {
		fmt.Fprintf(b, "- %s\n", oneLine(n))
	}
	if len(f.Notes) > 0 {
		b.WriteString("\n")
	}
}

func (t *Table) write(b *strings.Builder) {
	if len(t.Rows) == 0 {
		return
	}
	if t.Title != "" {
		fmt.Fprintf(b, "### %s\n\n", t.Title)
	}
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.ReplaceAll(oneLine(c), "|", "\\|") + " ")
		}
		b.WriteString("|\n")
	}
	line(t.Columns)
	b.WriteString(strings.Repeat("| --- ", len(t.Columns)) + "|\n")
	for _, row := range t.Rows {
		line(row)
	}
	b.WriteString("\n")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
