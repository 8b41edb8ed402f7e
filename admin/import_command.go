// Import command: many instances from a file.

package admin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import <file>",
		Short: "Adds, or modifies, the instances of a file",
		Long: `Adds the instances of a file, and modifies those that exist. Each line is a JSON
object with the parameters of the API, as export writes it; a .csv has the names
of the parameters in its first line, and an empty cell there says nothing.

What is done is noted beside the file, in FILE.progress: the same command goes on
with what is not, and tries again what has failed. - is standard input, of which
nothing is noted.`,
		Example: `  gatehouse instances import fleet.jsonl
  gatehouse instances import customers.csv --report report.jsonl`,
		Args: exactly("a file (- for standard input)"),
		RunE: run(runImport),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"jsonl", "csv"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	f := cmd.Flags()
	f.Int("concurrency", importConcurrency, fmt.Sprintf("How many are made at a time, at most %d", maxConcurrency))
	f.Bool("restart", false, "Begin anew, whatever was done before")
	f.String("format", "", "jsonl or csv (default: by the file's name)")
	f.String("report", "", "Write what became of each line to this file, as JSON lines")
	return cmd
}

// importing is an import under way.
type importing struct {
	cmd      *cobra.Command
	client   *client
	parallel int
	journal  *journal
	report   io.Writer // nil for none
	meter    *meter

	counts map[string]int // by outcome
	shown  int            // failures that were told of
}

// maxShown bounds the failures that are written to the terminal.
const maxShown = 20

func runImport(cmd *cobra.Command, args []string) (err error) {
	if err := disabled(); err != nil {
		return err
	}
	f := cmd.Flags()
	i := &importing{cmd: cmd, journal: &journal{}, counts: map[string]int{}}
	if i.parallel, err = f.GetInt("concurrency"); err != nil || i.parallel < 1 || i.parallel > maxConcurrency {
		return usagef("--concurrency is a number from 1 to %d", maxConcurrency)
	}
	format, err := f.GetString("format")
	if err != nil {
		return err
	}
	if format == "" {
		format = "jsonl"
		if strings.EqualFold(filepath.Ext(args[0]), ".csv") {
			format = "csv"
		}
	}
	if i.client, err = connect(cmd); err != nil {
		return err
	}
	total, in := 0, io.Reader(cmd.InOrStdin())
	if args[0] != "-" {
		file, err := os.Open(args[0])
		if err != nil {
			return usagef("%v", err)
		}
		defer file.Close()
		if total, err = i.resume(file, format); err != nil {
			return err
		}
		in = file
	}
	src, err := newSource(format, in)
	if err != nil {
		return errors.Join(err, i.journal.close(false))
	}
	done, err := i.reportTo()
	if err != nil {
		return errors.Join(err, i.journal.close(false))
	}
	i.meter = newMeter(cmd, "Importing", total-i.journal.had)
	err = i.run(src)
	i.meter.end()
	failed := i.counts[outcomeFailed]
	return errors.Join(i.sum(err), done(), i.journal.close(err == nil && failed == 0))
}

// resume finds out what of the file was done before.
func (i *importing) resume(file *os.File, format string) (total int, err error) {
	restart, err := i.cmd.Flags().GetBool("restart")
	if err != nil {
		return 0, err
	}
	digest, total, err := survey(format, file)
	if err != nil {
		return 0, err
	}
	if i.journal, err = openJournal(file.Name()+".progress", digest, restart); err != nil {
		return 0, err
	}
	if i.journal.had > 0 {
		fmt.Fprintf(i.cmd.ErrOrStderr(), "Going on: %d of %d are done already\n", i.journal.had, total)
	}
	_, err = file.Seek(0, io.SeekStart)
	return total, err
}

// reportTo opens the report, if one is wanted. done closes it.
func (i *importing) reportTo() (done func() error, err error) {
	name, err := i.cmd.Flags().GetString("report")
	if err != nil || name == "" {
		return func() error { return nil }, err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, usagef("--report: %v", err)
	}
	i.report = file
	return file.Close, nil
}

// sum says what became of all. err is what ended the import before its end.
func (i *importing) sum(err error) error {
	c := i.counts
	if wantsJSON(i.cmd) {
		if e := printLine(i.cmd, map[string]any{"summary": c, "done_before": i.journal.had}); e != nil {
			return errors.Join(err, e)
		}
	} else {
		fmt.Fprintf(i.cmd.OutOrStdout(), "%d added, %d modified, %d unchanged, %d failed", c[outcomeAdded], c[outcomeModified], c[outcomeUnchanged], c[outcomeFailed])
		if i.journal.had > 0 {
			fmt.Fprintf(i.cmd.OutOrStdout(), ", %d done before", i.journal.had)
		}
		fmt.Fprintln(i.cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	if failed := c[outcomeFailed]; failed > 0 {
		if failed > maxShown && i.report == nil {
			fmt.Fprintf(i.cmd.ErrOrStderr(), "%d more have failed; --report writes all to a file\n", failed-maxShown)
		}
		return fmt.Errorf("%d have failed; the same command tries them again", failed)
	}
	return nil
}
