// Completion: what a shell offers after a verb.

package admin

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// completionTime bounds what a person waits for at the Tab key.
	completionTime = 2 * time.Second
	// completionLimit bounds how many instances are asked for.
	completionLimit = 2000
)

// completeDomain offers the domains that a running front door has, and never
// names of files. Without a front door it offers nothing.
func completeDomain(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	c, err := connect(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c.ask = nil // nobody can be asked in the middle of a line
	var domains []string
	query := url.Values{"page[limit]": {strconv.Itoa(completionLimit)}}
	err = c.list(ctx, query, func(o object) error {
		if domain := attribute[string](o, "domain"); strings.HasPrefix(domain, begun) {
			domains = append(domains, domain)
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return domains, cobra.ShellCompDirectiveNoFileComp
}

// completeNothing keeps the shell from offering names of files.
func completeNothing(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeFields offers the fields of ls.
func completeFields(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	head, last := "", begun
	if i := strings.LastIndexByte(begun, ','); i >= 0 {
		head, last = begun[:i+1], begun[i+1:]
	}
	var out []string
	for _, field := range knownFields {
		if strings.HasPrefix(field, last) {
			out = append(out, head+field)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
