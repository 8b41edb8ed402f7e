// Modify command: the change of one instance, or of many.

package admin

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func modifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "modify <domain>",
		Aliases: []string{"update"},
		Short:   "Modifies an instance, or many",
		Long: `Modifies an instance. What is not given stays as it is; an empty value clears, as
in --domain-aliases "". Unblocking clears the reason of the block.

With --all, and --filter for some, it modifies many: it shows how many they are,
and has that number typed.

With --wait-tls it goes on until each name, new aliases among them, has its
certificate; see "add".`,
		Example: `  gatehouse instances modify alice.example.com --blocked --blocking-reason PAYMENT_FAILED
  gatehouse instances modify alice.example.com --blocked=false
  gatehouse instances modify alice.example.com --locale fr --dry-run
  gatehouse instances modify alice.example.com --domain-aliases www.alice.org --wait-tls
  gatehouse instances modify alice.example.com --deleting=false   # frees a deletion that has failed
  gatehouse instances modify --all --filter context=trial --blocked`,
		Args: func(cmd *cobra.Command, args []string) error {
			if all, err := cmd.Flags().GetBool("all"); err == nil && all {
				return exactly()(cmd, args)
			}
			return exactly("a domain")(cmd, args)
		},
		RunE: run(runModify),
	}
	f := cmd.Flags()
	changeFlags(f)
	f.Bool("blocked", false, "Block the instance, or unblock it with --blocked=false")
	f.String("blocking-reason", "", "Why it is blocked: LOGIN_FAILED, PAYMENT_FAILED, UNKNOWN, or a text of at most 200 characters")
	f.Bool("deleting", false, "Set the flag of a deletion, or take it off with --deleting=false")
	f.Bool("onboarding-finished", false, "Say that the owner has chosen a password")
	f.String("if-rev", "", "Modify only if the instance's document has this revision")
	f.Bool("dry-run", false, "Show what would be changed, and change nothing")
	f.Bool("all", false, "Modify all instances, or those of --filter")
	filterFlag(f)
	f.Bool("force", false, "With --all: do not ask")
	waitFlags(f)
	f.Int("concurrency", importConcurrency, fmt.Sprintf("With --all: how many are modified at a time, at most %d", maxConcurrency))
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
	dry, err := cmd.Flags().GetBool("dry-run")
	if err != nil {
		return err
	}
	if dry {
		params["DryRun"] = true
	}
	wait, err := tlsWaitOf(cmd)
	if err != nil {
		return err
	}
	if all, err := cmd.Flags().GetBool("all"); err != nil || all {
		if err != nil {
			return err
		}
		if wait.wanted {
			return usagef("--wait-tls is for one instance, not for --all")
		}
		return modifyMany(cmd, params, dry)
	}
	for _, name := range []string{"filter", "force", "concurrency"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is for --all", name)
		}
	}
	if dry {
		if wait.wanted {
			return usagef("--wait-tls is for a change, and --dry-run makes none")
		}
		return previewOne(cmd, args[0], params)
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	if err := wait.possible(cmd.Context(), c); err != nil {
		return err
	}
	if err := patch(cmd, c, args[0], params); err != nil {
		return err
	}
	return wait.run(cmd, c, args[0], "Modifying "+args[0])
}

// patch modifies an instance and shows it.
func patch(cmd *cobra.Command, c *client, domain string, params map[string]any) error {
	var answer instanceDocument
	if err := c.json(cmd.Context(), http.MethodPatch, instancePath(domain), nil, params, &answer); err != nil {
		return err
	}
	return printObject(cmd, answer.Data)
}

// previewAnswer is the answer to a modify with DryRun.
type previewAnswer struct {
	Data object `json:"data"`
	Meta struct {
		Differences []lifecycle.Difference `json:"differences"`
	} `json:"meta"`
}

func previewOne(cmd *cobra.Command, domain string, params map[string]any) error {
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	var answer previewAnswer
	if err := c.json(cmd.Context(), http.MethodPatch, instancePath(domain), nil, params, &answer); err != nil {
		return err
	}
	if wantsJSON(cmd) {
		return printJSON(cmd, answer.Meta.Differences)
	}
	if len(answer.Meta.Differences) == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "Nothing of %s would be changed\n", attribute[string](answer.Data, "domain"))
		return nil
	}
	printDifferences(cmd, answer.Meta.Differences)
	return nil
}
