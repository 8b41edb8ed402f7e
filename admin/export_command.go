// Export command: all instances in a file, as an import takes them.

package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export [file]",
		Short: "Writes all instances to a file that import takes",
		Long: `Writes all instances, but for those that are being deleted, to a file or to
standard output: a JSON object a line, with the parameters of the API. It holds no
secret, so the owners' passwords are not in it, nor their data.`,
		Example: `  gatehouse instances export fleet.jsonl`,
		Args:    upTo("a file (- for standard output)"),
		RunE:    calls(runExport),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"jsonl"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
}

func runExport(cmd *cobra.Command, c *client, args []string) error {
	resp, err := c.do(cmd.Context(), http.MethodGet, "/instances/export", nil, nil, ndjson+", "+jsonAPI+";q=0.5")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if len(args) == 0 || args[0] == "-" {
		_, err := exportTo(cmd, cmd.OutOrStdout(), resp.Body)
		return err
	}
	// Under its name only when it is whole; it holds what is nobody else's business.
	file, err := os.CreateTemp(filepath.Dir(args[0]), filepath.Base(args[0])+".*.part")
	if err != nil {
		return usagef("%v", err)
	}
	count, err := exportTo(cmd, file, resp.Body)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), args[0])
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return done(cmd, map[string]any{"exported": count}, "%d instances have been exported to %s", count, args[0])
}

// exportTo copies the lines and counts them. An answer that ends early is an error.
func exportTo(cmd *cobra.Command, w io.Writer, in io.Reader) (count int, err error) {
	m := newMeter(cmd, "Exporting", 0)
	m.live = m.live && w != cmd.OutOrStdout()
	defer m.end()
	lines, out := bufio.NewReaderSize(in, 64<<10), bufio.NewWriterSize(w, 64<<10)
	for {
		part, err := lines.ReadSlice('\n')
		if _, err := out.Write(part); err != nil {
			return count, err
		}
		switch {
		case err == nil:
			count++
			m.step(1)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return count, out.Flush()
		default:
			return count, fmt.Errorf("the export ended early: %w", err)
		}
	}
}
