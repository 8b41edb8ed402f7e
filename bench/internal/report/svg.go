// SVG: two kinds of plots, readable on light and on dark ground.

package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// palette has colours that differ for the colour-blind too, and are clear on white and on
// black (after Okabe and Ito, without black and yellow).
var palette = []string{"#2f81d6", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"}

// style follows the reader's choice, as a picture in a page does too.
const style = `<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.axis { stroke: #8c959f; stroke-width: 1 }
.grid { stroke: #8c959f; stroke-width: 1; opacity: .25 }
.whisker { stroke: #57606a; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .whisker { stroke: #d0d7de } }
</style>
`

// Bar is one of a Bars plot.
type Bar struct {
	Name      string
	Value     float64
	Low, High float64 // of the whisker
	Highlight bool
}

// Bars are horizontal, one below the other.
func Bars(title, unit string, bars []Bar) string {
	const left, right, top, row, width = 310, 110, 60, 30, 860
	most := 0.0
	for _, b := range bars {
		most = max(most, b.Value, b.High)
	}
	if most == 0 {
		most = 1
	}
	x := func(v float64) float64 { return left + v/most*(width-left-right) }
	var s strings.Builder
	begin(&s, title, unit, width, top+row*len(bars)+20)
	for i, b := range bars {
		y := float64(top + i*row)
		colour := palette[0]
		if b.Highlight {
			colour = palette[1]
		}
		fmt.Fprintf(&s, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left-10, y+15, html.EscapeString(b.Name))
		fmt.Fprintf(&s, `<rect x="%d" y="%.1f" width="%.1f" height="20" rx="2" fill="%s"/>`+"\n", left, y, x(b.Value)-left, colour)
		fmt.Fprintf(&s, `<line class="whisker" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`+"\n", x(b.Low), x(b.High), y+10, y+10)
		fmt.Fprintf(&s, `<text x="%.1f" y="%.1f">%s</text>`+"\n", x(max(b.Value, b.High))+8, y+15, short(b.Value))
	}
	fmt.Fprintf(&s, `<line class="axis" x1="%d" x2="%d" y1="%d" y2="%d"/>`+"\n</svg>\n", left, left, top-5, top+row*len(bars))
	return s.String()
}

// Line is one of a Lines plot.
type Line struct {
	Name string
	X, Y []float64
}

// Lines has a logarithmic x axis, and a y axis from 0.
func Lines(title, xUnit, yUnit string, lines []Line) string {
	const left, right, top, bottom, width, height = 70, 240, 60, 50, 860, 380
	lowX, highX, most := math.Inf(1), math.Inf(-1), 0.0
	for _, l := range lines {
		for i := range l.X {
			lowX, highX, most = min(lowX, l.X[i]), max(highX, l.X[i]), max(most, l.Y[i])
		}
	}
	if most == 0 {
		return ""
	}
	step := round(most / 4)
	most = step * math.Ceil(most/step)
	span := max(math.Log10(highX/lowX), 1)
	x := func(v float64) float64 { return left + math.Log10(v/lowX)/span*(width-left-right) }
	y := func(v float64) float64 { return height - bottom - v/most*(height-top-bottom) }
	var s strings.Builder
	begin(&s, title, yUnit, width, height)
	for v := 0.0; v <= most*1.001; v += step {
		fmt.Fprintf(&s, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left, width-right, y(v), y(v), left-8, y(v)+4, short(v))
	}
	for v := lowX; v <= highX*1.001; v *= 10 {
		fmt.Fprintf(&s, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(v), height-bottom+20, count(v))
	}
	fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (left+width-right)/2, height-10, html.EscapeString(xUnit))
	for i, l := range lines {
		colour := palette[i%len(palette)]
		points := make([]string, len(l.X))
		for j := range l.X {
			points[j] = fmt.Sprintf("%.1f,%.1f", x(l.X[j]), y(l.Y[j]))
			fmt.Fprintf(&s, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x(l.X[j]), y(l.Y[j]), colour)
		}
		fmt.Fprintf(&s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colour)
		fmt.Fprintf(&s, `<rect x="%d" y="%d" width="14" height="14" rx="2" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n", width-right+20, top+i*24, colour, width-right+42, top+i*24+12, html.EscapeString(l.Name))
	}
	s.WriteString("</svg>\n")
	return s.String()
}

func begin(s *strings.Builder, title, unit string, width, height int) {
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n%s", width, height, html.EscapeString(title), style)
	fmt.Fprintf(s, `<text class="title" x="10" y="22">%s</text><text x="10" y="42">%s</text>`+"\n", html.EscapeString(title), html.EscapeString(unit))
}

// round is a step for an axis: 1, 2 or 5 times a power of ten, at least v.
func round(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

func short(v float64) string {
	if v >= 100 || v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// count is a number of tenants as people say it.
func count(v float64) string {
	switch {
	case v >= 1e6:
		return short(v/1e6) + " M"
	case v >= 1e3:
		return short(v/1e3) + " k"
	default:
		return short(v)
	}
}
