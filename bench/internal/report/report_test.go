// The report: cells, goals and plots.

package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/bench/internal/report"
	"github.com/gatehouse-edge/gatehouse/bench/internal/stats"
)

func TestGoals(t *testing.T) {
	t.Parallel()
	s := stats.Of([]float64{1, 2, 3})
	for _, c := range []struct {
		got  report.Goal
		want report.Goal
	}{
		{report.AtMost("a", s, 2, "%.0f"), report.Goal{Claim: "a", Measured: "2 (2–2)", Holds: "yes"}},
		{report.AtMost("a", s, 1.9, "%.0f"), report.Goal{Claim: "a", Measured: "2 (2–2)", Holds: "no"}},
		{report.AtLeast("a", s, 3, "%.1f"), report.Goal{Claim: "a", Measured: "2.0 (1.5–2.5)", Holds: "no"}},
		{report.AtMost("a", stats.Spread{}, 1, "%.1f"), report.Goal{Claim: "a", Measured: "–", Holds: "not measured"}},
	} {
		if c.got != c.want {
			t.Errorf("%+v, and not %+v", c.got, c.want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := report.Report{Figures: []*report.Figure{{
		Title: "Title", About: "About.", Error: "it\nbroke", Goals: []report.Goal{{Claim: "a|b", Measured: "1", Holds: "yes"}},
		Plots: []report.Plot{{File: "a.svg", Title: "A"}}, Tables: []report.Table{{Columns: []string{"x", "y"}, Rows: [][]string{{"1", "2"}}}},
	}}}
	text := r.Markdown("plots")
	for _, want := range []string{"| a\\|b | 1 | yes |\n", "Not measured: it broke\n", "![A](plots/a.svg)\n", "| x | y |\n| --- | --- |\n| 1 | 2 |\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}

func TestPlots(t *testing.T) {
	t.Parallel()
	for name, svg := range map[string]string{
		"bars":  report.Bars("a < b", "µs", []report.Bar{{Name: "one & two", Value: 3, Low: 2, High: 4}, {Name: "none"}}),
		"lines": report.Lines("a < b", "tenants", "µs", []report.Line{{Name: "one", X: []float64{1000, 1e6}, Y: []float64{3, 4}}}),
		"one":   report.Lines("a", "tenants", "µs", []report.Line{{Name: "one", X: []float64{1000}, Y: []float64{3}}}),
	} {
		decoder := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v in\n%s", name, err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s:\n%s", name, svg)
		}
	}
}
