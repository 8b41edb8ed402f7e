// Question commands: ls, show, count, show-db-prefix, explain, status.

package admin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show <domain>",
		Short: "Shows an instance, by its domain or an alias",
		Args:  exactly("a domain"),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			c, err := connect(cmd)
			if err != nil {
				return err
			}
			var answer instanceDocument
			if err := c.json(cmd.Context(), http.MethodGet, instancePath(args[0]), nil, nil, &answer); err != nil {
				return err
			}
			return printJSON(cmd, answer.Data)
		}),
	}
}

func countCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "count",
		Short: "Counts the instances",
		Args:  exactly(),
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			c, err := connect(cmd)
			if err != nil {
				return err
			}
			var answer struct {
				Count int64 `json:"count"`
			}
			if err := c.json(cmd.Context(), http.MethodGet, "/instances/count", nil, nil, &answer); err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return printJSON(cmd, answer)
			}
			fmt.Fprintln(cmd.OutOrStdout(), answer.Count)
			return nil
		}),
	}
}

func prefixCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show-db-prefix <domain>",
		Short: "Shows the prefix of an instance's databases",
		Args:  exactly("a domain"),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			c, err := connect(cmd)
			if err != nil {
				return err
			}
			var prefix string
			if err := c.json(cmd.Context(), http.MethodGet, instancePath(args[0])+"/prefix", nil, nil, &prefix); err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return printJSON(cmd, prefix)
			}
			fmt.Fprintln(cmd.OutOrStdout(), prefix)
			return nil
		}),
	}
}

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain <host>",
		Short: "Tells where a host leads, and why",
		Args:  exactly("a host"),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			c, err := connect(cmd)
			if err != nil {
				return err
			}
			var x Explanation
			if err := c.json(cmd.Context(), http.MethodGet, "/tenancy/explain", url.Values{"host": args}, nil, &x); err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return printJSON(cmd, x)
			}
			verdict := x.Verdict
			if x.Status != 0 {
				verdict += fmt.Sprintf(" with %d %s", x.Status, x.Code)
			}
			state := x.State
			if x.Reason != "" {
				state += ": " + x.Reason
			}
			match := x.Match
			if x.By != "" {
				match += " (" + x.By + ")"
			}
			printPairs(cmd, [][2]string{
				{"host", x.Host}, {"normal form", x.Normal}, {"match", match}, {"app", x.Slug}, {"instance", x.Domain},
				{"document", strings.TrimSpace(x.ID + " " + x.Rev)}, {"prefix", x.Prefix}, {"state", state},
				{"verdict", strings.TrimSpace(verdict)}, {"location", x.Location}, {"why", x.Why},
				{"directory", x.Directory + age(x.AgeSeconds)},
			})
			if t := x.Certificate; t != nil {
				printPairs(cmd, t.pairs())
			}
			return nil
		}),
	}
}

// age says how old what is known is; nothing while the store is followed.
func age(seconds float64) string {
	if seconds == 0 {
		return ""
	}
	return ", " + (time.Duration(seconds * float64(time.Second))).Round(time.Second).String() + " old"
}

func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Shows how a front door stands to its store",
		Args:  exactly(),
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			c, err := connect(cmd)
			if err != nil {
				return err
			}
			var s Status
			if err := c.json(cmd.Context(), http.MethodGet, "/tenancy/status", nil, nil, &s); err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return printJSON(cmd, s)
			}
			d := s.Directory
			last := ""
			if !d.LastContact.IsZero() {
				last = d.LastContact.Format(time.RFC3339)
			}
			printPairs(cmd, [][2]string{
				{"node", s.Node}, {"store", s.Store}, {"subdomains", s.Subdomains},
				{"directory", string(d.State) + age(d.AgeSeconds)},
				{"instances", fmt.Sprint(d.Instances)}, {"hosts", fmt.Sprint(d.Hosts)},
				{"last sequence", d.LastSeq}, {"last contact", last}, {"full loads", fmt.Sprint(d.Loads)},
				{"changes", fmt.Sprint(d.Changes)}, {"malformed", fmt.Sprint(d.Malformed)},
				{"conflicts", fmt.Sprint(d.Conflicts)}, {"last error", d.LastError},
			})
			if s.API != nil {
				printPairs(cmd, [][2]string{{"API", s.API.Address}, {"login failures", fmt.Sprint(s.API.LoginFailures)}})
			}
			if t := s.Certificates; t != nil {
				role := "another front door orders them, or none does yet"
				if t.Leads {
					role = fmt.Sprintf("this front door orders them, with %d names to look at", t.Queue)
				}
				printPairs(cmd, [][2]string{{"certificates", role}})
			}
			return nil
		}),
	}
}

func lsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "Lists the instances",
		Example: `  gatehouse instances ls
  gatehouse instances ls --fields domain,context,locale
  gatehouse instances ls --filter state=blocked,domain=*.example.com --sort -domain
  gatehouse instances ls --json | jq .attributes.domain`,
		Args: exactly(),
		RunE: run(runLs),
	}
	f := cmd.Flags()
	f.StringSlice("fields", nil, "The fields to print, separated by commas and tab-separated in the output")
	f.Bool("available-fields", false, "List the fields that --fields knows")
	f.Int("limit", 0, "Print at most so many (0: all)")
	filterFlag(f)
	f.String("sort", "", "The order: domain, context, locale, state or cluster, with a - before it for the other way round")
	if err := cmd.RegisterFlagCompletionFunc("fields", completeFields); err != nil {
		panic(err) // the flag is there, two lines above
	}
	return cmd
}

// fieldsOf are the fields of an instance that ls can print, besides those that
// the instances themselves have.
var knownFields = []string{
	"auth_mode", "blocked", "blocking_reason", "context", "couch_cluster", "deleting", "disk_quota", "domain", "domain_aliases",
	"feature_sets", "franceconnect_id", "id", "indexes_version", "locale", "magic_link", "no_auto_update", "oidc_id",
	"old_domain", "onboarding_finished", "org_domain", "org_id", "password_defined", "prefix", "sponsorships", "swift_cluster",
	"tos", "tos_latest", "uuid",
}

func runLs(cmd *cobra.Command, _ []string) error {
	f := cmd.Flags()
	fields, err := f.GetStringSlice("fields")
	if err != nil {
		return err
	}
	limit, err := f.GetInt("limit")
	if err != nil || limit < 0 {
		return usagef("--limit is a number from 0 on")
	}
	if available, err := f.GetBool("available-fields"); err != nil || available {
		if err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), strings.Join(knownFields, "\n"))
		}
		return err
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	query, err := filterQuery(cmd)
	if err != nil {
		return err
	}
	if limit > 0 {
		query.Set("page[limit]", fmt.Sprint(limit))
	}
	order, err := f.GetString("sort")
	if err != nil {
		return err
	}
	if order != "" {
		query.Set("sort", order)
	}
	switch {
	case wantsJSON(cmd):
		return c.list(cmd.Context(), query, func(o object) error { return printLine(cmd, pick(o, fields)) })
	case len(fields) > 0:
		return c.list(cmd.Context(), query, func(o object) error {
			cells := make([]string, len(fields))
			for i, name := range fields {
				cells[i] = cell(o, name)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(cells, "\t"))
			return err
		})
	}
	t := newTable(cmd)
	if err := c.list(cmd.Context(), query, t.add); err != nil {
		return err
	}
	t.end()
	return nil
}

// pick leaves just the wanted attributes; all where none are named.
func pick(o object, fields []string) object {
	if len(fields) > 0 {
		maps.DeleteFunc(o.Attributes, func(name string, _ jsonValue) bool { return !slices.Contains(fields, name) })
	}
	return o
}
