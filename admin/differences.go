// Differences: what a change makes another, as people read it.

package admin

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// Colours of a difference, for terminals.
const (
	red, green, plain = "\x1b[31m", "\x1b[32m", "\x1b[0m"
)

// printDifferences writes each field as it was and as it becomes. Colours are for
// terminals whose person has not refused them. https://no-color.org/
func printDifferences(cmd *cobra.Command, differences []lifecycle.Difference) {
	out := cmd.OutOrStdout()
	remove, add, end := "", "", ""
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" {
		remove, add, end = red, green, plain
	}
	for _, d := range differences {
		if d.Old != nil {
			fmt.Fprintf(out, "%s- %s: %s%s\n", remove, d.Field, oneLine(d.Old), end)
		}
		if d.New != nil {
			fmt.Fprintf(out, "%s+ %s: %s%s\n", add, d.Field, oneLine(d.New), end)
		}
	}
}

// oneLine is a value in one line, without control characters: an operator's
// terminal must not do what a document says.
func oneLine(v any) string {
	if s, ok := v.(string); ok {
		return printable(s)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return printable(string(raw))
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// inWords is a list of differences in one line, as in a table.
func inWords(differences []lifecycle.Difference) string {
	parts := make([]string, len(differences))
	for i, d := range differences {
		switch {
		case d.Old == nil:
			parts[i] = d.Field + ": " + oneLine(d.New)
		case d.New == nil:
			parts[i] = d.Field + ": " + oneLine(d.Old) + " → (gone)"
		default:
			parts[i] = d.Field + ": " + oneLine(d.Old) + " → " + oneLine(d.New)
		}
	}
	return strings.Join(parts, "; ")
}
