// Token commands: tokens for an instance, as a stack takes them, and the API's own.

package admin

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-edge/gatehouse/tenancy/access"
)

// tokenCommand makes a command for tokens of one audience. params reads the
// arguments after the domain.
func tokenCommand(audience, use, short string, args func(*cobra.Command, []string) error, params func(p map[string]string, args []string)) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			p := map[string]string{"Domain": args[0], "Audience": audience}
			params(p, args[1:])
			expire, err := cmd.Flags().GetString("expire")
			if err != nil {
				return err
			}
			if expire != "" {
				if d, err := parseDuration(expire); err != nil || d < 0 {
					return usagef("--expire is a time, as in 2h or 30d")
				}
				p["Expire"] = expire
			}
			resp, err := c.do(cmd.Context(), http.MethodPost, "/instances/token", nil, p, "text/plain, "+jsonAPI+";q=0.5")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			token, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
			if err != nil {
				return err
			}
			return done(cmd, string(token), "%s", token)
		}),
	}
	cmd.Flags().String("expire", "", "How long the token is good, as in 2h or 30d (default: that of its kind)")
	return cmd
}

func subject(p map[string]string, args []string) { p["Subject"] = args[0] }

func scopes(p map[string]string, args []string) { p["Scope"] = strings.Join(args, " ") }

func clientScopes(p map[string]string, args []string) {
	subject(p, args)
	scopes(p, args[1:])
}

func tokenAppCommand() *cobra.Command {
	return tokenCommand("app", "token-app <domain> <slug>", "Makes a token of an app", exactly("a domain", "the slug of an app"), subject)
}

func tokenKonnectorCommand() *cobra.Command {
	return tokenCommand("konn", "token-konnector <domain> <slug>", "Makes a token of a konnector", exactly("a domain", "the slug of a konnector"), subject)
}

func tokenCLICommand() *cobra.Command {
	return tokenCommand("cli", "token-cli <domain> <scope>...", "Makes a token of the command line", atLeast("a domain", "a scope, as in io.cozy.files"), scopes)
}

func tokenOAuthCommand() *cobra.Command {
	return tokenCommand("access", "token-oauth <domain> <client> <scope>...", "Makes an access token of an OAuth client",
		atLeast("a domain", "the id of a client", "a scope, as in io.cozy.files"), clientScopes)
}

func tokenRefreshCommand() *cobra.Command {
	return tokenCommand("refresh", "refresh-token-oauth <domain> <client> <scope>...", "Makes a refresh token of an OAuth client",
		atLeast("a domain", "the id of a client", "a scope, as in io.cozy.files"), clientScopes)
}

func apiTokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "api-token",
		Short: "Manages the tokens of the instances API",
		Long: `Manages the tokens of the instances API. A token has a role: read looks at
instances, block also blocks and unblocks them, admin does everything.`,
	}
	cmd.RunE = run(func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("%q is not a command; see %s --help", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	})
	cmd.AddCommand(apiTokenAddCommand(), apiTokenLsCommand(), apiTokenRevokeCommand())
	return cmd
}

func apiTokenAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "add <name>",
		Short:   "Makes a token, which is shown once",
		Example: "  gatehouse instances api-token add billing --role block --expire 90d",
		Args:    exactly("a name"),
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			role, err := cmd.Flags().GetString("role")
			if err != nil {
				return err
			}
			if _, err := access.ParseRole("--role", role); err != nil {
				return usagef("%v", err)
			}
			expire, err := cmd.Flags().GetString("expire")
			if err != nil {
				return err
			}
			var answer struct {
				Data newToken `json:"data"`
			}
			params := map[string]string{"Name": args[0], "Role": role, "Expire": expire}
			if err := c.json(cmd.Context(), http.MethodPost, "/tenancy/tokens", nil, params, &answer); err != nil {
				return err
			}
			if !wantsJSON(cmd) {
				fmt.Fprintln(cmd.ErrOrStderr(), "This is the only time that the token is shown:")
			}
			return done(cmd, answer.Data, "%s", answer.Data.Secret)
		}),
	}
	cmd.Flags().String("role", "", "What the token may do: read, block or admin")
	cmd.Flags().String("expire", "", "How long the token is good, as in 90d (default: until it is revoked)")
	return cmd
}

func apiTokenLsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "Lists the tokens", Args: exactly(),
		RunE: calls(func(cmd *cobra.Command, c *client, _ []string) error {
			t := newColumns(cmd, "name", "role", "id", "created", "expires", "last used")
			err := items(cmd.Context(), c, "/tenancy/tokens", nil, func(token access.Token) error {
				if wantsJSON(cmd) {
					return printLine(cmd, token)
				}
				t.add(token.Name, string(token.Role), token.ID, token.Created.Format(time.DateOnly), day(token.Expires, "never"), day(token.LastUsed, "-"))
				return nil
			})
			t.end()
			return err
		}),
	}
}

func day(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return t.Format(time.DateOnly)
}

func apiTokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "revoke <name or id>", Aliases: []string{"rm"}, Short: "Ends a token", Args: exactly("the name or id of a token"),
		Long: "Ends a token. A front door on another machine may take it for ten more seconds.",
		RunE: calls(func(cmd *cobra.Command, c *client, args []string) error {
			if err := c.json(cmd.Context(), http.MethodDelete, "/tenancy/tokens/"+url.PathEscape(args[0]), nil, nil, nil); err != nil {
				return err
			}
			return done(cmd, map[string]any{"token": args[0], "revoked": true}, "Token %s has been revoked", args[0])
		}),
	}
}
