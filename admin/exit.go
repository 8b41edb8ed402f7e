// Exit: from an error to a line on the screen and an exit code.

package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// Exit codes of the command.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitUnavailable = 5
)

// usageError is a command line that cannot be meant.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

func exitCode(err error) int {
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	var answer *answerError
	if errors.As(err, &answer) {
		switch answer.status {
		case http.StatusNotFound:
			return exitNotFound
		case http.StatusConflict:
			return exitConflict
		case http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusBadGateway:
			return exitUnavailable
		case http.StatusBadRequest, http.StatusUnprocessableEntity:
			return exitUsage
		}
	}
	return exitFailed
}

// run makes a cobra function of one that returns plain errors.
func run(fn func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		return exit(cmd, fn(cmd, args))
	}
}

// exit prints the error and gives Caddy's main function the exit code.
func exit(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "Error: "+err.Error())
	code := exitCode(err)
	if code == exitFailed {
		return err
	}
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}

// exactly wants n arguments, whose names are said where they are missing.
func exactly(names ...string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		return exit(cmd, usagef("%s wants %s, and got %d arguments; see %s --help",
			cmd.CommandPath(), strings.Join(names, " and "), len(args), cmd.CommandPath()))
	}
}

// atLeast wants one argument for each name, of which the last may be given more
// than once.
func atLeast(names ...string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return exactly(names...)(cmd, args)
		}
		return nil
	}
}

// upTo wants one argument for each name, the last of which may be missing.
func upTo(names ...string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names)-1 {
			return nil
		}
		return exactly(names...)(cmd, args)
	}
}
