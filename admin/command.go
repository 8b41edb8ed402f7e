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
		Usage: "add|ls|show|modify|destroy|import|export|watch|history|repair|status|…",
		Short: "Manages the instances of a running front door",
		Long: `
Adds, lists, shows, modifies and destroys instances, by the admin API of a
running front door, or by the API's own listener (--address https://…).

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
	f.StringP("address", "", "", "The address of a running front door: of its admin API, or of its own API as in https://host:6061 (default: the admin API of --config, else localhost:2019)")
	f.String("ca", "", "File with the authorities that an https address is held against, in PEM (default: the system's)")
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
		prefixCommand(), quotaCommand(), explainCommand(), statusCommand(),
		passphraseCommand(), authModeCommand(), sessionsCommand(), activityCommand(), linkCommand(), appsCommand(),
		tokenAppCommand(), tokenKonnectorCommand(), tokenCLICommand(), tokenOAuthCommand(), tokenRefreshCommand(),
		historyCommand(), operationsCommand(), checkCommand(), repairCommand(), adoptCommand(), quarantineCommand(),
		tlsCommand(), domainsCommand(), apiTokenCommand(), importCommand(), exportCommand(), watchCommand())
	complete(cmd)
}

// complete sets what a shell offers after each verb.
func complete(cmd *cobra.Command) {
	for _, verb := range cmd.Commands() {
		complete(verb)
		if verb.ValidArgsFunction != nil {
			continue
		}
		verb.ValidArgsFunction = completeNothing
		if strings.Contains(verb.Use, "<domain>") && verb.Name() != "add" && verb.Name() != "lift" {
			verb.ValidArgsFunction = completeDomain
		}
	}
}

// calls makes a cobra function of one that speaks to a front door.
func calls(fn func(cmd *cobra.Command, c *client, args []string) error) func(*cobra.Command, []string) error {
	return run(func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		return fn(cmd, c, args)
	})
}

// connect makes the client that the flags ask for.
func connect(cmd *cobra.Command) (*client, error) {
	f := caddycmd.Flags{FlagSet: cmd.Flags()}
	ask := func() (string, error) { return askPassphrase(cmd) }
	address, err := caddycmd.DetermineAdminAPIAddress(f.String("address"), nil, f.String("config"), f.String("adapter"))
	if err != nil {
		return nil, usagef("finding the admin address: %v", err)
	}
	if address == "" {
		address = caddy.DefaultAdminListen
	}
	return newClient(address, f.String("ca"), ask)
}

// askPassphrase asks the person at the terminal, without echo.
func askPassphrase(cmd *cobra.Command) (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return "", &answerError{status: 401, text: "the front door asks for the administrator's passphrase", hint: "Set COZY_ADMIN_PASSPHRASE, or GATEHOUSE_API_TOKEN to a token."}
	}
	return askHidden(cmd, "Administrator's passphrase: ")
}

// confirm has the person type an answer that shows what they mean.
func confirm(cmd *cobra.Command, question, want, otherwise string) error {
	fmt.Fprint(cmd.ErrOrStderr(), question)
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != want {
		return errors.New("aborted: " + otherwise + " (--force does not ask)")
	}
	return nil
}

// askAgain has the person type the domain once more.
func askAgain(cmd *cobra.Command, domain string) error {
	return confirm(cmd, "This destroys "+domain+" and all its data, and cannot be undone.\nType the domain again to go on: ",
		domain, "nothing was destroyed, since what was typed is not the domain")
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
