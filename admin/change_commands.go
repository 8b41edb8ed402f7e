// Change commands: add, destroy, set-disk-quota.

package admin

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func instancePath(domain string) string { return "/instances/" + url.PathEscape(domain) }

func addCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "add <domain>",
		Aliases: []string{"create"},
		Short:   "Adds an instance",
		Long: `Adds an instance: its name is claimed, its databases are made, and it is served
at once. The token and the link that are printed are for its owner.

With --wait-tls it goes on until each name has its certificate. Where one cannot be
had now, since an order has failed or the DNS has not what proves the name, it says
why and what to set, and the exit code is 1: the instance is there all the same, and
the front door goes on trying.`,
		Example: `  gatehouse instances add alice.example.com --locale fr --email alice@example.com --public-name Alice
  gatehouse instances add alice.example.com --domain-aliases www.alice.org --wait-tls`,
		Args: exactly("a domain"),
		RunE: run(runAdd),
	}
	f := cmd.Flags()
	changeFlags(f)
	f.StringSlice("apps", nil, "Apps to install, separated by commas, as in drive,photos/beta (default: those of the context)")
	f.Bool("blocked", false, "Make the instance blocked")
	f.String("blocking-reason", "", "Why it is blocked")
	f.Int("couch-cluster", -1, "The CouchDB cluster of the instance's databases (-1: one of the open ones)")
	f.Bool("onboarding-finished", false, "Say that the owner has chosen a password")
	f.String("passphrase", "", "The owner's passphrase; others see it in the list of processes, so rather use the next two")
	fileFlag(f)
	f.Bool("prompt-passphrase", false, "Ask for the owner's passphrase, without echo")
	hashFlags(f)
	f.Bool("send", false, "Have the link for the owner sent by the configured hook")
	f.Bool("trace", false, "Show the time of each step")
	waitFlags(f)
	return cmd
}

func runAdd(cmd *cobra.Command, args []string) error {
	if err := disabled(); err != nil {
		return err
	}
	params, err := body(cmd)
	if err != nil {
		return err
	}
	params["Domain"] = args[0]
	switch secret, given, err := givenPassphrase(cmd); {
	case err != nil:
		return err
	case given:
		params["Passphrase"] = secret
	}
	wait, err := tlsWaitOf(cmd)
	if err != nil {
		return err
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	if err := wait.possible(cmd.Context(), c); err != nil {
		return err
	}
	steps := newSteps(cmd, "Adding "+args[0])
	var answer addedAnswer
	err = c.stream(cmd.Context(), http.MethodPost, "/instances", nil, params, steps.show, &answer)
	steps.end()
	if err != nil {
		return err
	}
	// Before the wait, so that the link is not lost with an interrupt.
	if err := answer.print(cmd); err != nil {
		return err
	}
	return wait.run(cmd, c, args[0], "Adding "+args[0])
}

// print writes what was added.
func (a *addedAnswer) print(cmd *cobra.Command) error {
	if wantsJSON(cmd) {
		a.warn(cmd)
		return printJSON(cmd, a.Data)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "Instance created with success for domain %s\n", attribute[string](a.Data, "domain"))
	printLink(cmd, a.Data)
	a.printFailed(cmd)
	a.warn(cmd)
	return nil
}

// addedAnswer is an answer that may tell of what could not be done.
type addedAnswer struct {
	instanceDocument
	Meta addedMeta `json:"meta"`
}

// printFailed writes the apps that were not installed, in a cozy-stack's words.
func (a *addedAnswer) printFailed(cmd *cobra.Command) {
	for _, slug := range a.Meta.FailedApps {
		fmt.Fprintf(cmd.OutOrStdout(), "/!\\ Application %s has not been installed\n", slug)
	}
}

// warn says why.
func (a *addedAnswer) warn(cmd *cobra.Command) {
	for _, w := range a.Meta.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "Warning: "+w)
	}
}

// printLink writes the link for the owner, if there is one.
func printLink(cmd *cobra.Command, o object) {
	raw, err := base64.StdEncoding.DecodeString(attribute[string](o, "register_token"))
	if err != nil || len(raw) == 0 {
		return
	}
	code, out := hex.EncodeToString(raw), cmd.OutOrStdout()
	fmt.Fprintf(out, "Registration token: \"%s\"\n", code)
	fmt.Fprintf(out, "Define your password by visiting https://%s/?registerToken=%s\n", attribute[string](o, "domain"), code)
}

func quotaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "set-disk-quota <domain> <size>",
		Short:   "Changes the quota of an instance's files",
		Example: `  gatehouse instances set-disk-quota alice.example.com 3GB`,
		Args:    exactly("a domain", "a size (0 for none)"),
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			n, err := parseQuota(args[1])
			if err != nil {
				return err
			}
			return patch(cmd, c, args[0], map[string]any{"DiskQuota": n})
		}),
	}
}

func destroyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "destroy <domain>",
		Aliases: []string{"rm", "delete"},
		Short:   "Destroys an instance and all its data",
		Long: `Destroys an instance: visitors see that it is being deleted, its databases are
dropped, then its record goes. When that fails in the middle, the same command
goes on with it; "modify <domain> --deleting=false" gives it up.`,
		Args: exactly("a domain"),
		RunE: run(runDestroy),
	}
	cmd.Flags().Bool("force", false, "Do not ask")
	cmd.Flags().String("quarantine", "", "Keep the names from others for a time, as in 30d (default: that of the configuration)")
	return cmd
}

func runDestroy(cmd *cobra.Command, args []string) error {
	if err := disabled(); err != nil {
		return err
	}
	force, err := cmd.Flags().GetBool("force")
	if err != nil {
		return err
	}
	query := url.Values{}
	if text, err := cmd.Flags().GetString("quarantine"); err != nil {
		return err
	} else if text != "" {
		if d, err := parseDuration(text); err != nil || d < 0 {
			return usagef("--quarantine is a time, as in 30d or 12h; 0 for none")
		}
		query.Set("Quarantine", text)
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	if !force {
		if err := askAgain(cmd, args[0]); err != nil {
			return err
		}
	}
	steps := newSteps(cmd, "Destroying "+args[0])
	err = c.stream(cmd.Context(), http.MethodDelete, instancePath(args[0]), query, nil, steps.show, nil)
	steps.end()
	if err != nil {
		return err
	}
	if wantsJSON(cmd) {
		return printJSON(cmd, map[string]any{"domain": args[0], "destroyed": true})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Instance for domain %s has been destroyed with success\n", args[0])
	return nil
}

// attribute is one attribute of an instance, or the zero value.
func attribute[T any](o object, name string) (v T) {
	if raw, ok := o.Attributes[name]; ok {
		if err := json.Unmarshal(raw, &v); err != nil {
			var zero T
			return zero
		}
	}
	return v
}
