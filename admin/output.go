// Output: JSON for machines, and tables, pairs and a progress line for people.

package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

type jsonValue = json.RawMessage

func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printLine writes one JSON value a line.
func printLine(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func printObject(cmd *cobra.Command, o object) error {
	if wantsJSON(cmd) {
		return printJSON(cmd, o)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Instance for domain %s has been modified: %s\n", attribute[string](o, "domain"), stateOf(o))
	return nil
}

func stateOf(o object) string {
	switch {
	case attribute[bool](o, "deleting"):
		return "deleting"
	case attribute[bool](o, "blocked"):
		if reason := attribute[string](o, "blocking_reason"); reason != "" {
			return "blocked, " + reason
		}
		return "blocked"
	default:
		return "active"
	}
}

// printPairs writes names and values in two columns, without the empty ones.
func printPairs(cmd *cobra.Command, pairs [][2]string) {
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "%-14s %s\n", p[0], p[1])
		}
	}
}

// cell is a field of an instance as text.
func cell(o object, name string) string {
	if name == "id" || name == "_id" {
		return o.ID
	}
	raw, ok := o.Attributes[name]
	if !ok {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// row is a line of the table: a cozy-stack's columns, and at the end what keeps
// an instance from being served, if anything.
func row(o object) table.Row {
	quota := "unlimited"
	if n, err := strconv.ParseUint(cell(o, "disk_quota"), 10, 64); err == nil && n > 0 {
		quota = humanize.Bytes(n)
	}
	onboarded := "onboarding"
	if attribute[bool](o, "onboarding_finished") {
		onboarded = "onboarded"
	}
	r := table.Row{cell(o, "domain"), cell(o, "locale"), quota, onboarded, "v" + cell(o, "indexes_version"), cell(o, "prefix")}
	if state := stateOf(o); state != "active" {
		r = append(r, state)
	}
	return r
}

// tablePage is how many rows are laid out together, so that a list of any length
// is shown as it comes, in bounded memory.
const tablePage = 500

// instancesTable writes rows in columns that fit the terminal.
type instancesTable struct {
	out   io.Writer
	width int // 0 where there is no terminal
	rows  []table.Row
}

func newTable(cmd *cobra.Command) *instancesTable {
	t := &instancesTable{out: cmd.OutOrStdout()}
	if f, ok := t.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			t.width = w
		}
	}
	return t
}

func (t *instancesTable) add(o object) error {
	t.rows = append(t.rows, row(o))
	if len(t.rows) == tablePage {
		t.end()
	}
	return nil
}

func (t *instancesTable) end() {
	if len(t.rows) == 0 {
		return
	}
	w := table.NewWriter()
	w.SetStyle(bare())
	w.AppendRows(t.rows)
	if t.width > 0 {
		w.SetColumnConfigs(t.fit())
	}
	for line := range strings.Lines(w.Render() + "\n") {
		fmt.Fprintln(t.out, strings.TrimRight(line, " \n"))
	}
	t.rows = t.rows[:0]
}

// fit cuts what a terminal has no room for: the prefix, then the state, then the
// domain.
func (t *instancesTable) fit() []table.ColumnConfig {
	const gap = 2
	widths := make([]int, 7)
	for _, r := range t.rows {
		for i, c := range r {
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(fmt.Sprint(c)))
		}
	}
	excess := gap*len(widths) - t.width
	for _, w := range widths {
		excess += w
	}
	var configs []table.ColumnConfig
	for _, column := range []struct{ index, least int }{{5, 8}, {6, 7}, {0, 16}} {
		if cut := min(excess, widths[column.index]-column.least); cut > 0 {
			excess -= cut
			configs = append(configs, table.ColumnConfig{
				Number: column.index + 1, WidthMax: widths[column.index] - cut, WidthMaxEnforcer: text.Trim,
			})
		}
	}
	return configs
}

// steps shows the progress of a change: one line that changes on a terminal,
// and with --trace a line for each step. Elsewhere nothing, so that scripts'
// logs stay short.
type steps struct {
	out   io.Writer
	title string
	live  bool
	trace bool
	begin time.Time
	mu    sync.Mutex
	last  string
}

func newSteps(cmd *cobra.Command, title string) *steps {
	s := &steps{out: cmd.ErrOrStderr(), title: title, begin: time.Now()}
	if f, ok := s.out.(*os.File); ok {
		s.live = term.IsTerminal(int(f.Fd())) && !wantsJSON(cmd)
	}
	if trace, err := cmd.Flags().GetBool("trace"); err == nil {
		s.trace = trace
	}
	return s
}

func (s *steps) show(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.trace:
		if e.Step != s.last || e.Done == e.Total {
			fmt.Fprintf(s.out, "%8s  %s %s\n", time.Since(s.begin).Round(time.Millisecond), e.Step, counted(e))
		}
	case s.live:
		fmt.Fprintf(s.out, "\r\x1b[K%s: %s %s", s.title, e.Step, counted(e))
	}
	s.last = e.Step
}

func counted(e event) string {
	if e.Total == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", e.Done, e.Total)
}

// end clears the line.
func (s *steps) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live && !s.trace {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
}
