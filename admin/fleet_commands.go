// Fleet commands: history, operations, check, repair, adopt, quarantine.

package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func historyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history <domain>",
		Short: "Shows who changed what of an instance, the newest first",
		Args:  exactly("a domain"),
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			limit, err := cmd.Flags().GetInt("limit")
			if err != nil || limit < 0 {
				return usagef("--limit is a number from 0 on")
			}
			query := url.Values{}
			if limit > 0 {
				query.Set("page[limit]", fmt.Sprint(limit))
			}
			t := newColumns(cmd, "when", "who", "from", "verb", "differences")
			err = items(cmd.Context(), c, instancePath(args[0])+"/history", query, func(e lifecycle.Entry) error {
				if wantsJSON(cmd) {
					return printLine(cmd, e)
				}
				what := inWords(e.Differences)
				if e.Error != "" {
					what = strings.TrimPrefix(what+"; failed: "+e.Error, "; ")
				}
				t.add(moment(e.At), e.Actor, strings.TrimSpace(e.Address+" "+e.Via), e.Verb, what)
				return nil
			})
			t.end()
			return err
		}),
	}
	cmd.Flags().Int("limit", 50, "Show at most so many (0: all)")
	return cmd
}

// moment is a time of the store as people read it, in UTC.
func moment(s string) string {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return s
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func operationsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "operations",
		Short: "Shows the changes in the journal that have not ended and that nobody is at",
		Args:  exactly(),
		RunE: calls(func(cmd *cobra.Command, c *client, _ []string) error {
			all, err := cmd.Flags().GetBool("all")
			if err != nil {
				return err
			}
			query := url.Values{}
			if all {
				query.Set("All", "true")
			}
			t := newColumns(cmd, "domain", "verb", "state", "node", "started", "step", "error")
			err = items(cmd.Context(), c, "/tenancy/operations", query, func(o lifecycle.Operation) error {
				if wantsJSON(cmd) {
					return printLine(cmd, o)
				}
				step := ""
				if n := len(o.Steps); n > 0 {
					step = o.Steps[n-1].Name
				}
				t.add(o.Domain, o.Verb, o.State, o.Node, moment(o.Started), step, o.Error)
				return nil
			})
			t.end()
			return err
		}),
	}
	cmd.Flags().Bool("all", false, "Show those that somebody is at as well")
	return cmd
}

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Finds what does not fit together in a store, and changes nothing",
		Long:  "Finds what does not fit together in a store, and changes nothing. The exit code is 1 where something is found.",
		Args:  exactly(),
		RunE: calls(func(cmd *cobra.Command, c *client, _ []string) error {
			return mend(cmd, c, "/tenancy/check", map[string]any{})
		}),
	}
	cmd.Flags().String("domain", "", "Only this instance")
	return cmd
}

func repairCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Mends what does not fit together in a store",
		Long: `Finds what does not fit together in a store and mends what it may: it finishes or
undoes changes whose front door has died, among others. The exit code is 1 where
something is left that it may not, or could not, mend.`,
		Args: exactly(),
		RunE: calls(func(cmd *cobra.Command, c *client, _ []string) error {
			params := map[string]any{}
			for name, flag := range map[string]string{"DryRun": "dry-run", "DropOrphans": "drop-orphans"} {
				b, err := cmd.Flags().GetBool(flag)
				if err != nil {
					return err
				}
				if b {
					params[name] = true
				}
			}
			return mend(cmd, c, "/tenancy/repair", params)
		}),
	}
	f := cmd.Flags()
	f.Bool("dry-run", false, "Change nothing, as check does")
	f.String("domain", "", "Only this instance")
	f.Bool("drop-orphans", false, "Drop databases that belong to no instance; they may hold somebody's data")
	return cmd
}

// mend shows each finding as it comes, and the sum.
func mend(cmd *cobra.Command, c *client, path string, params map[string]any) error {
	domain, err := cmd.Flags().GetString("domain")
	if err != nil {
		return err
	}
	if domain != "" {
		params["Domain"] = domain
	}
	var report lifecycle.Report
	if err := findings(cmd, c, path, "Checking", params, &report); err != nil {
		return err
	}
	if !wantsJSON(cmd) {
		fmt.Fprintf(cmd.OutOrStdout(), "%d instances, %d claims, %d databases: %d found, %d mended\n",
			report.Instances, report.Claims, report.Databases, report.Found, report.Mended)
	}
	if left := report.Found - report.Mended; left > 0 {
		return fmt.Errorf("%d findings are left", left)
	}
	return nil
}

func adoptCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "adopt",
		Short: "Claims the names of instances that a stack has made",
		Long: `Claims the names of all instances that have no claim: those of a stack's fleet, for
a front door that is new to it. Names that two instances have are told of.`,
		Args: exactly(),
		RunE: calls(func(cmd *cobra.Command, c *client, _ []string) error {
			var report lifecycle.AdoptReport
			if err := findings(cmd, c, "/tenancy/adopt", "Adopting", map[string]any{}, &report); err != nil {
				return err
			}
			if !wantsJSON(cmd) {
				fmt.Fprintf(cmd.OutOrStdout(), "%d instances: %d names claimed, %d refused\n", report.Instances, report.Claimed, report.Refused)
			}
			if report.Refused > 0 {
				return fmt.Errorf("%d names belong to two instances", report.Refused)
			}
			return nil
		}),
	}
}

// findings streams findings, and reads the report at the end.
func findings(cmd *cobra.Command, c *client, path, title string, params map[string]any, report any) error {
	steps := newSteps(cmd, title)
	defer steps.end()
	var failed error
	err := c.stream(cmd.Context(), http.MethodPost, path, nil, params, func(e event) {
		switch {
		case e.Finding == nil:
			steps.show(e)
		case failed == nil:
			steps.end()
			failed = printFinding(cmd, *e.Finding)
		}
	}, report)
	steps.end()
	if err == nil {
		err = failed
	}
	if err == nil && wantsJSON(cmd) {
		err = printLine(cmd, map[string]any{"report": report})
	}
	return err
}

func printFinding(cmd *cobra.Command, f lifecycle.Finding) error {
	if wantsJSON(cmd) {
		return printLine(cmd, map[string]any{"finding": f})
	}
	mark := "found"
	switch {
	case f.Mended:
		mark = "mended"
	case f.Error != "":
		mark = "failed"
	}
	line := fmt.Sprintf("%-7s %s", mark, f.Kind)
	for _, part := range []string{f.Domain, f.What, f.Action, f.Error} {
		if part != "" {
			line += ": " + printable(part)
		}
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
	return err
}

func quarantineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "Manages the names of destroyed instances that are kept from others",
	}
	cmd.RunE = run(func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("%q is not a command; see %s --help", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	})
	cmd.AddCommand(&cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "Lists the names in quarantine", Args: exactly(),
		RunE: calls(func(cmd *cobra.Command, c *client, _ []string) error {
			t := newColumns(cmd, "name", "instance", "until")
			err := items(cmd.Context(), c, "/tenancy/quarantine", nil, func(q lifecycle.Quarantine) error {
				if wantsJSON(cmd) {
					return printLine(cmd, q)
				}
				t.add(q.Key, q.Domain, q.Until.UTC().Format("2006-01-02 15:04:05Z"))
				return nil
			})
			t.end()
			return err
		}),
	}, &cobra.Command{
		Use: "lift <domain>", Short: "Ends the quarantine of a domain, and of the other names of the same instance", Args: exactly("a domain"),
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			if err := c.json(cmd.Context(), http.MethodDelete, "/tenancy/quarantine/"+url.PathEscape(args[0]), nil, nil, nil); err != nil {
				return err
			}
			return done(cmd, map[string]any{"domain": args[0], "quarantine": false}, "The quarantine of %s has been lifted", args[0])
		}),
	})
	return cmd
}
