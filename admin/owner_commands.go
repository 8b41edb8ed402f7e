// Owner commands: set-passphrase, auth-mode, clean-sessions, last-activity,
// resend-link, install-apps.

package admin

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func passphraseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set-passphrase <domain> [passphrase]",
		Short: "Sets the passphrase of an instance's owner",
		Long: `Sets the passphrase of an instance's owner, and ends all sessions. Without a
passphrase it asks for one, without echo; one in the command line can be seen
by others in the list of processes.`,
		Example: `  gatehouse instances set-passphrase alice.example.com
  pass show alice | gatehouse instances set-passphrase alice.example.com --passphrase-file -`,
		Args: upTo("a domain", "perhaps a passphrase"),
		RunE: run(runSetPassphrase),
	}
	fileFlag(cmd.Flags())
	hashFlags(cmd.Flags())
	return cmd
}

func runSetPassphrase(cmd *cobra.Command, args []string) error {
	params, err := body(cmd)
	if err != nil {
		return err
	}
	secret, given, err := givenPassphrase(cmd)
	switch {
	case err != nil:
		return err
	case given && len(args) == 2:
		return usagef("the passphrase is given twice")
	case len(args) == 2:
		secret = args[1]
	case !given:
		if secret, err = askNewPassphrase(cmd); err != nil {
			return err
		}
	}
	if secret == "" {
		return usagef("the passphrase is empty")
	}
	params["Passphrase"] = secret
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	var answer instanceDocument
	if err := c.json(cmd.Context(), http.MethodPost, instancePath(args[0])+"/passphrase", nil, params, &answer); err != nil {
		return err
	}
	if wantsJSON(cmd) {
		return printJSON(cmd, answer.Data)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Passphrase has been changed for instance %s\n", attribute[string](answer.Data, "domain"))
	return nil
}

func authModeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "auth-mode <domain> <mode>",
		Short:   "Sets how an instance's owner logs in",
		Example: "  gatehouse instances auth-mode alice.example.com two_factor_mail",
		Args:    exactly("a domain", "a mode (basic or two_factor_mail)"),
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			err := c.json(cmd.Context(), http.MethodPost, instancePath(args[0])+"/auth-mode", nil, map[string]string{"auth_mode": args[1]}, nil)
			if err != nil {
				return err
			}
			return done(cmd, map[string]any{"domain": args[0], "auth_mode": args[1]}, "Auth mode has been changed for instance %s", args[0])
		}),
	}
}

func sessionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "clean-sessions <domain>",
		Short: "Ends all sessions of an instance's owner",
		Args:  exactly("a domain"),
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			if err := c.json(cmd.Context(), http.MethodDelete, instancePath(args[0])+"/sessions", nil, nil, nil); err != nil {
				return err
			}
			return done(cmd, map[string]any{"domain": args[0], "sessions": 0}, "Sessions of instance %s have ended", args[0])
		}),
	}
}

func activityCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "last-activity <domain>",
		Short: "Shows the day on which an instance was last used",
		Args:  exactly("a domain"),
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			var answer struct {
				Last *string `json:"last-activity"`
			}
			if err := c.json(cmd.Context(), http.MethodGet, instancePath(args[0])+"/last-activity", nil, nil, &answer); err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return printJSON(cmd, answer)
			}
			day := "unknown"
			if answer.Last != nil {
				day = *answer.Last
			}
			fmt.Fprintln(cmd.OutOrStdout(), day)
			return nil
		}),
	}
}

func linkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resend-link <domain>",
		Short: "Makes a new link for an owner who has not chosen a password yet",
		Long: `Makes a new link for the owner of an instance that is not onboarded yet. The link
before it is no longer good.`,
		Args: exactly("a domain"),
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			send, err := cmd.Flags().GetBool("send")
			if err != nil {
				return err
			}
			var answer instanceDocument
			err = c.json(cmd.Context(), http.MethodPost, instancePath(args[0])+"/link", nil, map[string]bool{"Send": send}, &answer)
			if err != nil {
				return err
			}
			if wantsJSON(cmd) {
				return printJSON(cmd, answer.Data)
			}
			printLink(cmd, answer.Data)
			return nil
		}),
	}
	cmd.Flags().Bool("send", false, "Have the link sent by the configured hook")
	return cmd
}

func appsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "install-apps <domain> <app>...",
		Short:   "Installs apps for an instance, or brings them up to date",
		Example: "  gatehouse instances install-apps alice.example.com drive photos/beta",
		Args:    atLeast("a domain", "an app"),
		RunE:    calls(runInstallApps),
	}
	cmd.Flags().Bool("trace", false, "Show the time of each step")
	return cmd
}

func runInstallApps(cmd *cobra.Command, c *client, args []string) error {
	steps := newSteps(cmd, "Installing for "+args[0])
	var answer addedAnswer
	params := map[string]any{"Apps": args[1:]}
	err := c.stream(cmd.Context(), http.MethodPost, instancePath(args[0])+"/apps", nil, params, steps.show, &answer)
	steps.end()
	if err != nil {
		return err
	}
	answer.warn(cmd)
	if wantsJSON(cmd) {
		if err := printJSON(cmd, answer); err != nil {
			return err
		}
	} else {
		answer.printFailed(cmd)
	}
	if n := len(answer.Meta.FailedApps); n > 0 {
		return fmt.Errorf("%d of %d apps have not been installed", n, len(args)-1)
	}
	return done(cmd, nil, "Apps have been installed for instance %s", attribute[string](answer.Data, "domain"))
}

// done says that something is done; v is what machines read instead, nil for nothing.
func done(cmd *cobra.Command, v any, format string, args ...any) error {
	if wantsJSON(cmd) {
		if v == nil {
			return nil
		}
		return printJSON(cmd, v)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...)
	return err
}
