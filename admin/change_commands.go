// Change commands: add, modify, destroy, set-disk-quota.

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
at once. The token and the link that are printed are for its owner.`,
		Example: `  gatehouse instances add alice.example.com --locale fr --email alice@example.com --public-name Alice`,
		Args:    exactly("a domain"),
		RunE:    run(runAdd),
	}
	changeFlags(cmd.Flags())
	cmd.Flags().Int("couch-cluster", -1, "The CouchDB cluster of the instance's databases (-1: one of the open ones)")
	cmd.Flags().Bool("trace", false, "Show the time of each step")
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
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	steps := newSteps(cmd, "Adding "+args[0])
	var answer instanceDocument
	err = c.stream(cmd.Context(), http.MethodPost, "/instances", params, steps.show, &answer)
	steps.end()
	if err != nil {
		return err
	}
	if wantsJSON(cmd) {
		return printJSON(cmd, answer.Data)
	}
	domain, token := attribute[string](answer.Data, "domain"), attribute[string](answer.Data, "register_token")
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "Instance created with success for domain %s\n", domain)
	if raw, err := base64.StdEncoding.DecodeString(token); err == nil && len(raw) > 0 {
		code := hex.EncodeToString(raw)
		fmt.Fprintf(out, "Registration token: \"%s\"\n", code)
		fmt.Fprintf(out, "Define your password by visiting https://%s/?registerToken=%s\n", domain, code)
	}
	return nil
}

func modifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "modify <domain>",
		Aliases: []string{"update"},
		Short:   "Modifies an instance",
		Long: `Modifies an instance. What is not given stays as it is; an empty value clears, as
in --domain-aliases "". Unblocking clears the reason of the block.`,
		Example: `  gatehouse instances modify alice.example.com --blocked --blocking-reason PAYMENT_FAILED
  gatehouse instances modify alice.example.com --blocked=false
  gatehouse instances modify alice.example.com --deleting=false   # frees a deletion that has failed`,
		Args: exactly("a domain"),
		RunE: run(runModify),
	}
	changeFlags(cmd.Flags())
	f := cmd.Flags()
	f.Bool("blocked", false, "Block the instance, or unblock it with --blocked=false")
	f.String("blocking-reason", "", "Why it is blocked: LOGIN_FAILED, PAYMENT_FAILED, UNKNOWN, or a text of at most 200 characters")
	f.Bool("deleting", false, "Set the flag of a deletion, or take it off with --deleting=false")
	f.Bool("onboarding-finished", false, "Say that the owner has chosen a password")
	f.String("tos-latest", "", "The latest version of the terms of service")
	return cmd
}

func runModify(cmd *cobra.Command, args []string) error {
	params, err := body(cmd)
	if err != nil {
		return err
	}
	if len(params) == 0 {
		return usagef("nothing to modify is given; see %s --help", cmd.CommandPath())
	}
	return patch(cmd, args[0], params)
}

// patch modifies an instance and shows it.
func patch(cmd *cobra.Command, domain string, params map[string]any) error {
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	var answer instanceDocument
	if err := c.json(cmd.Context(), http.MethodPatch, instancePath(domain), nil, params, &answer); err != nil {
		return err
	}
	return printObject(cmd, answer.Data)
}

func quotaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "set-disk-quota <domain> <size>",
		Short:   "Changes the quota of an instance's files",
		Example: `  gatehouse instances set-disk-quota alice.example.com 3GB`,
		Args:    exactly("a domain", "a size (0 for none)"),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			n, err := parseQuota(args[1])
			if err != nil {
				return err
			}
			return patch(cmd, args[0], map[string]any{"DiskQuota": n})
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
	err = c.stream(cmd.Context(), http.MethodDelete, instancePath(args[0]), nil, steps.show, nil)
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
