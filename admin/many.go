// Many: one change to all instances, or to those of a filter.

package admin

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

func filterFlag(f *pflag.FlagSet) {
	f.StringSlice("filter", nil, "Only instances for which all of this holds, as in state=blocked,context=trial; fields: "+
		strings.Join(slices.Sorted(maps.Keys(filterFields)), ", ")+" (a pattern for domain)")
}

// filterQuery makes parameters of --filter.
func filterQuery(cmd *cobra.Command) (url.Values, error) {
	given, err := cmd.Flags().GetStringSlice("filter")
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	for _, item := range given {
		field, v, found := strings.Cut(item, "=")
		if !found || filterFields[field] == nil {
			return nil, usagef("--filter is like state=blocked, with one of %s", strings.Join(slices.Sorted(maps.Keys(filterFields)), ", "))
		}
		if query.Has("filter[" + field + "]") {
			return nil, usagef("--filter has %s twice", field)
		}
		query.Set("filter["+field+"]", v)
	}
	return query, nil
}

// outcome is what became of one of many.
type outcome struct {
	Domain  string `json:"domain"`
	Outcome string `json:"outcome"` // modified, unchanged (of a dry run) or failed
	Error   string `json:"error,omitempty"`
}

// modifyMany finds the instances first, so that those that are counted are those
// that are changed, whatever the change does to the filter.
func modifyMany(cmd *cobra.Command, params map[string]any, dry bool) error {
	f := cmd.Flags()
	for _, name := range []string{"if-rev", "domain-aliases"} {
		if f.Changed(name) {
			return usagef("--%s is for one instance, not for --all", name)
		}
	}
	parallel, err := f.GetInt("concurrency")
	if err != nil || parallel < 1 || parallel > maxConcurrency {
		return usagef("--concurrency is a number from 1 to %d", maxConcurrency)
	}
	force, err := f.GetBool("force")
	if err != nil {
		return err
	}
	query, err := filterQuery(cmd)
	if err != nil {
		return err
	}
	query.Set("sort", "domain")
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	var domains []string
	err = c.list(cmd.Context(), query, func(o object) error {
		domains = append(domains, attribute[string](o, "domain"))
		return nil
	})
	if err != nil {
		return err
	}
	if len(domains) == 0 {
		return &answerError{status: http.StatusNotFound, text: "no instance is meant by that"}
	}
	if !dry && !force {
		count := fmt.Sprint(len(domains))
		err := confirm(cmd, fmt.Sprintf("This modifies %s instances, %s first.\nType their number to go on: ", count, domains[0]),
			count, "nothing was modified, since what was typed is not the number")
		if err != nil {
			return err
		}
	}
	return patchAll(cmd, c, domains, params, parallel, dry)
}

// patchAll modifies the instances, some at a time, and tells of each.
func patchAll(cmd *cobra.Command, c *client, domains []string, params map[string]any, parallel int, dry bool) error {
	m := newMeter(cmd, "Modifying", len(domains))
	defer m.end()
	var mu sync.Mutex
	failed := 0
	group, ctx := errgroup.WithContext(cmd.Context())
	group.SetLimit(parallel)
	for _, domain := range domains {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			o, differences, stop := patchOne(ctx, c, domain, params)
			mu.Lock()
			defer mu.Unlock()
			if o.Outcome == outcomeFailed {
				failed++
			}
			m.clear()
			if wantsJSON(cmd) {
				if err := printLine(cmd, o); err != nil {
					return err
				}
			} else {
				line := o.Domain + ": " + o.Outcome
				if dry && o.Outcome != outcomeFailed {
					line = o.Domain + ": " + differences
				}
				if o.Error != "" {
					line += ": " + o.Error
				}
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), line); err != nil {
					return err
				}
			}
			m.step(1)
			return stop
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := cmd.Context().Err(); err != nil {
		return unreachable(c.origin, err)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d instances were not modified", failed, len(domains))
	}
	return nil
}

// patchOne modifies one instance. stop is an error that the others would meet as well.
func patchOne(ctx context.Context, c *client, domain string, params map[string]any) (o outcome, differences string, stop error) {
	var answer previewAnswer
	err := c.json(ctx, http.MethodPatch, instancePath(domain), nil, params, &answer)
	if err != nil {
		if code := exitCode(err); code == exitUsage || code == exitUnavailable {
			stop = err
		}
		return outcome{domain, outcomeFailed, err.Error()}, "", stop
	}
	if dry, _ := params["DryRun"].(bool); dry {
		if differences = inWords(answer.Meta.Differences); differences == "" {
			return outcome{Domain: domain, Outcome: outcomeUnchanged}, outcomeUnchanged, nil
		}
	}
	return outcome{Domain: domain, Outcome: outcomeModified}, differences, nil
}
