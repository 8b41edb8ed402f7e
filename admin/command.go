// Command: `instances`, its verbs, and what they share.

package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "instances",
		Usage: "add|ls|show|count|modify|destroy|show-db-prefix|set-disk-quota|explain|status",
		Short: "Manages the instances of a running front door",
		Long: `
Adds, lists, shows, modifies and destroys instances, by the admin API of a
running front door.

An instance is one tenant: a domain, perhaps with aliases, and its own
databases. The commands are those of a cozy-stack.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 unavailable.`,
		CobraFunc: setUp,
	})
}

// setUp adds the verbs.
func setUp(cmd *cobra.Command) {
	cmd.Aliases = []string{"instance"}
	f := cmd.PersistentFlags()
	f.StringP("address", "", "", "The address of the admin API of a running front door (default: that of --config, else localhost:2019)")
	f.StringP("config", "c", "", "Configuration file to find the admin address in")
	f.StringP("adapter", "a", "", "Name of config adapter to apply to --config")
	f.Bool("json", false, "Print JSON, for machines")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		return exit(cmd, usagef("%v; see %s --help", err, cmd.CommandPath()))
	})
	cmd.RunE = run(func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("%q is not a command; see %s --help", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	})
	cmd.AddCommand(addCommand(), lsCommand(), showCommand(), countCommand(), modifyCommand(), destroyCommand(),
		prefixCommand(), quotaCommand(), explainCommand(), statusCommand())
	for _, verb := range cmd.Commands() {
		verb.ValidArgsFunction = completeNothing
		if strings.Contains(verb.Use, "<domain>") && verb.Name() != "add" {
			verb.ValidArgsFunction = completeDomain
		}
	}
}

// connect makes the client that the flags ask for.
func connect(cmd *cobra.Command) (*client, error) {
	f := caddycmd.Flags{FlagSet: cmd.Flags()}
	address, err := caddycmd.DetermineAdminAPIAddress(f.String("address"), nil, f.String("config"), f.String("adapter"))
	if err != nil {
		return nil, usagef("finding the admin address: %v", err)
	}
	if address == "" {
		address = caddy.DefaultAdminListen
	}
	return newClient(address, func() (string, error) { return askPassphrase(cmd) })
}

// askPassphrase asks the person at the terminal, without echo.
func askPassphrase(cmd *cobra.Command) (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return "", &answerError{status: 401, text: "the front door asks for the administrator's passphrase", hint: "Set COZY_ADMIN_PASSPHRASE."}
	}
	fmt.Fprint(cmd.ErrOrStderr(), "Administrator's passphrase: ")
	secret, err := term.ReadPassword(fd)
	fmt.Fprintln(cmd.ErrOrStderr())
	if err != nil {
		return "", err
	}
	return string(secret), nil
}

// askAgain has the person type the domain once more.
func askAgain(cmd *cobra.Command, domain string) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "This destroys %s and all its data, and cannot be undone.\nType the domain again to go on: ", domain)
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer := strings.TrimSpace(line); answer != domain {
		return errors.New("aborted: nothing was destroyed, since what was typed is not the domain (--force does not ask)")
	}
	return nil
}

// disabled is the operator's way to switch adding and destroying off; its content is the reason.
func disabled() error {
	if reason := os.Getenv("COZY_DISABLE_INSTANCES_ADD_RM"); reason != "" {
		return errors.New(reason)
	}
	return nil
}

func wantsJSON(cmd *cobra.Command) bool {
	b, err := cmd.Flags().GetBool("json")
	return err == nil && b
}
