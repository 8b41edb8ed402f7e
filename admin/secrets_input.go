// Secrets input: passphrases from a file, from standard input or from the person at
// the terminal, so that they need not stand in a command line that others see.

package admin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// maxSecret bounds a passphrase in a file, in bytes.
const maxSecret = 4096

// fileFlag is where a passphrase can be read from.
func fileFlag(f *pflag.FlagSet) {
	f.String("passphrase-file", "", "Read the passphrase from this file, without the end of its line (-: standard input)")
}

// hashFlags are for a passphrase that a client has hashed already.
func hashFlags(f *pflag.FlagSet) {
	f.Int("kdf-iterations", 0, "The rounds by which the passphrase is hashed (0: the default); with --key it is taken as hashed already")
	f.String("key", "", "The key that a client has encrypted, with a passphrase that it has hashed already")
}

// givenPassphrase is what the flags say, or ask for; ok is false where they say nothing.
func givenPassphrase(cmd *cobra.Command) (secret string, ok bool, err error) {
	f := cmd.Flags()
	var given []string
	for _, name := range []string{"passphrase", "passphrase-file", "prompt-passphrase"} {
		if f.Lookup(name) != nil && f.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	switch {
	case len(given) == 0:
		return "", false, nil
	case len(given) > 1:
		return "", false, usagef("%s are two ways to say one thing", strings.Join(given, " and "))
	case given[0] == "--passphrase":
		secret, err = f.GetString("passphrase")
	case given[0] == "--passphrase-file":
		var name string
		if name, err = f.GetString("passphrase-file"); err == nil {
			secret, err = readSecret(cmd, name)
		}
	default:
		secret, err = askNewPassphrase(cmd)
	}
	if err == nil && secret == "" {
		err = usagef("the passphrase is empty")
	}
	return secret, true, err
}

// readSecret reads a secret from a file, or from standard input.
func readSecret(cmd *cobra.Command, name string) (string, error) {
	var in io.Reader = cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", usagef("reading --passphrase-file: %v", err)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	if len(raw) > maxSecret {
		return "", usagef("the passphrase is longer than %d bytes", maxSecret)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r"), nil
}

// askNewPassphrase asks twice, without echo.
func askNewPassphrase(cmd *cobra.Command) (string, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", usagef("there is no terminal to ask for the passphrase at; give it by --passphrase-file, - for standard input")
	}
	first, err := askHidden(cmd, "New passphrase: ")
	if err != nil {
		return "", err
	}
	again, err := askHidden(cmd, "And once more: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("aborted: what was typed is not the same twice")
	}
	return first, nil
}

func askHidden(cmd *cobra.Command, prompt string) (string, error) {
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	secret, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	return string(secret), err
}
