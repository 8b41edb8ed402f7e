// Certificate commands: tls, domains.

package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

func tlsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tls",
		Aliases: []string{"certificates"},
		Short:   "Lists the certificates of instances, and the names that wait for one",
		Long: `Lists the names of instances with the state of their certificates: pending (it is
to be ordered), waiting_proof (the DNS has not what proves the name), ordered (an
order is under way), failed (the last order has failed) and issued. The last line
is about all names, whatever is listed.

The exit code is 0 also where certificates fail; --failing lists just those.`,
		Example: `  gatehouse instances tls --failing
  gatehouse instances tls --days 14
  gatehouse instances tls --state waiting_proof --domain "*.example.com"
  gatehouse instances tls --json | jq -r 'select(.state == "failed") | .name'`,
		Args: exactly(),
		RunE: calls(runTLS),
	}
	f := cmd.Flags()
	f.Int("days", 0, "Only certificates that end within so many days, or have ended (0: have ended)")
	f.StringSlice("state", nil, "Only names in these states, separated by commas: "+strings.Join(stateNames(), ", "))
	f.Bool("failing", false, "Only names that have failed, that wait for a proof, or whose certificate has ended")
	f.String("domain", "", "Only names that are like a pattern, as in *.example.com, or whose instance's domain is")
	if err := cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is there, some lines above
	}
	return cmd
}

// tlsQuery makes parameters of the flags.
func tlsQuery(cmd *cobra.Command) (url.Values, error) {
	f, query := cmd.Flags(), url.Values{}
	days, err := f.GetInt("days")
	if err != nil {
		return nil, err
	}
	if f.Changed("days") {
		if days < 0 || days > maxDays {
			return nil, usagef("--days is a number from 0 to %d", maxDays)
		}
		query.Set("Days", fmt.Sprint(days))
	}
	states, err := f.GetStringSlice("state")
	if err != nil {
		return nil, err
	}
	if len(states) > 0 {
		query.Set("State", strings.Join(states, ","))
	}
	only, err := f.GetBool("failing")
	if err != nil {
		return nil, err
	}
	if only {
		query.Set("Failing", "true")
	}
	domain, err := f.GetString("domain")
	if err != nil {
		return nil, err
	}
	if f.Changed("domain") {
		query.Set("Domain", domain)
	}
	return query, nil
}

func runTLS(cmd *cobra.Command, c *client, _ []string) error {
	query, err := tlsQuery(cmd)
	if err != nil {
		return err
	}
	var meta certificatesMeta
	shown := 0
	t := newColumns(cmd, "name", "state", "days left", "not after", "issuer", "next", "error")
	err = itemsAnd(cmd.Context(), c, "/tenancy/certificates", query, func(x Certificate) error {
		shown++
		if wantsJSON(cmd) {
			return printLine(cmd, x)
		}
		t.add(x.Name, x.State, daysInWords(x.DaysLeft), day(orNil(x.NotAfter), "-"), dash(x.Issuer), dash(x.next()), x.Error)
		return nil
	}, &meta)
	t.end()
	if err != nil || wantsJSON(cmd) {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), meta.inWords(shown))
	return err
}

func domainsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "domains <domain>",
		Short: "Shows the names of an instance, their certificates, and what to set in the DNS",
		Long: `Shows each name of an instance (the domain, the aliases, the old domain, and hosts
of its apps) with its certificate. Where the configuration asks for a proof, it
shows what is to be set in the DNS for a name that has not got one: one of the
records is enough.

With --check the names are looked at now, rather than when it is their turn, which
takes longer with each try: run it once the DNS is right. It waits for what comes
of that.`,
		Example: `  gatehouse instances domains alice.example.com
  gatehouse instances domains alice.example.com --check`,
		Args: exactly("a domain"),
		RunE: calls(runDomains),
	}
	cmd.Flags().Bool("check", false, "Have the names looked at now, and wait for what comes of it")
	waitTimeoutFlag(cmd.Flags(), "--check")
	return cmd
}

// domainsAnswer is the answer with the names of an instance.
type domainsAnswer struct {
	Data []Domain `json:"data"`
}

func runDomains(cmd *cobra.Command, c *client, args []string) error {
	check, err := cmd.Flags().GetBool("check")
	if err != nil {
		return err
	}
	limit, err := waitTimeout(cmd, check, "--check")
	if err != nil {
		return err
	}
	path := instancePath(args[0]) + "/domains"
	var answer domainsAnswer
	if check {
		if err := c.json(cmd.Context(), http.MethodPost, path+"/check", nil, nil, &answer); err != nil {
			return err
		}
		answer.Data, err = settle(cmd, c, args[0], "Checking "+args[0], limit)
	} else {
		err = c.json(cmd.Context(), http.MethodGet, path, nil, nil, &answer)
	}
	if err != nil {
		return err
	}
	if wantsJSON(cmd) {
		return printJSON(cmd, answer.Data)
	}
	for i := range answer.Data {
		for _, line := range answer.Data[i].inWords() {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), printable(line)); err != nil {
				return err
			}
		}
	}
	return nil
}
