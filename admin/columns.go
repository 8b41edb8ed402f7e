// Columns: a table with a head, for lists that are no instances.

package admin

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

// columns lays some rows out together, so that a list of any length is shown as it
// comes, in bounded memory.
type columns struct {
	out  io.Writer
	head table.Row
	rows []table.Row
}

func newColumns(cmd *cobra.Command, names ...string) *columns {
	c := &columns{out: cmd.OutOrStdout()}
	for _, name := range names {
		c.head = append(c.head, name)
	}
	return c
}

func (c *columns) add(cells ...string) {
	row := make(table.Row, len(cells))
	for i, cell := range cells {
		row[i] = printable(cell)
	}
	if c.rows = append(c.rows, row); len(c.rows) == tablePage {
		c.end()
	}
}

// end writes what is there. The head comes once, and only before rows.
func (c *columns) end() {
	if len(c.rows) == 0 {
		return
	}
	w := table.NewWriter()
	w.SetStyle(bare())
	if c.head != nil {
		w.AppendRow(c.head)
		c.head = nil
	}
	w.AppendRows(c.rows)
	for line := range strings.Lines(w.Render() + "\n") {
		fmt.Fprintln(c.out, strings.TrimRight(line, " \n"))
	}
	c.rows = c.rows[:0]
}

// bare is a table without lines.
func bare() table.Style {
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	return style
}
