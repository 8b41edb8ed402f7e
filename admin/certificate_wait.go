// Certificate wait: a command that goes on until the names of an instance have their
// certificates.

package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// pollEvery is the time between two questions.
const pollEvery = 500 * time.Millisecond

// waitDefault is enough for an order whose challenges take their time.
const waitDefault = "3m"

func waitFlags(f *pflag.FlagSet) {
	f.Bool("wait-tls", false, "Wait until each name has its certificate; the exit code is 1 where one cannot be had now")
	waitTimeoutFlag(f, "--wait-tls")
}

func waitTimeoutFlag(f *pflag.FlagSet, of string) {
	f.String("wait-timeout", waitDefault, "With "+of+": how long to wait at most, as in 90s or 10m")
}

// waitTimeout reads --wait-timeout, which says nothing unless something is waited for.
func waitTimeout(cmd *cobra.Command, wanted bool, of string) (time.Duration, error) {
	text, err := cmd.Flags().GetString("wait-timeout")
	if err != nil {
		return 0, err
	}
	if cmd.Flags().Changed("wait-timeout") && !wanted {
		return 0, usagef("--wait-timeout is for %s", of)
	}
	limit, err := parseDuration(text)
	if err != nil || limit < 0 {
		return 0, usagef("--wait-timeout is a time, as in 90s or 10m")
	}
	return limit, nil
}

// tlsWait is what --wait-tls asks for.
type tlsWait struct {
	wanted bool
	limit  time.Duration
}

func tlsWaitOf(cmd *cobra.Command) (w tlsWait, err error) {
	if w.wanted, err = cmd.Flags().GetBool("wait-tls"); err != nil {
		return w, err
	}
	w.limit, err = waitTimeout(cmd, w.wanted, "--wait-tls")
	return w, err
}

// possible asks, before anything is changed, whether there is something to wait for.
func (w tlsWait) possible(ctx context.Context, c *client) error {
	if !w.wanted {
		return nil
	}
	var s Status
	if err := c.json(ctx, http.MethodGet, "/tenancy/status", nil, nil, &s); err != nil {
		return err
	}
	if s.Certificates == nil {
		return usagef("--wait-tls: %s", errNoCertificates.detail)
	}
	return nil
}

// run waits, and warns of each name that has no certificate in the end. The change that
// was waited for has been made in any case.
func (w tlsWait) run(cmd *cobra.Command, c *client, domain, title string) error {
	if !w.wanted {
		return nil
	}
	domains, err := settle(cmd, c, domain, title, w.limit)
	if err != nil {
		return fmt.Errorf("the change was made, but its certificates are not known: %w", err)
	}
	names, without := 0, 0
	for i := range domains {
		d := &domains[i]
		if d.By == byApp {
			continue
		}
		names++
		if d.covered() {
			continue
		}
		without++
		out := cmd.ErrOrStderr()
		fmt.Fprintf(out, "Warning: %s has no certificate yet: %s\n", printable(d.Name), printable(d.certificateInWords()))
		for _, line := range d.toDo() {
			fmt.Fprintln(out, printable(line))
		}
	}
	if without > 0 {
		return fmt.Errorf("the change was made, but %d of %d names have no certificate yet; see gatehouse instances domains %s", without, names, domain)
	}
	return nil
}

// settle asks for the names of an instance until nothing is under way about any of them,
// or the time is over, and gives what they are then. A front door that does not answer
// for a moment, as in a reload, is asked again.
func settle(cmd *cobra.Command, c *client, domain, title string, limit time.Duration) ([]Domain, error) {
	ctx, steps := cmd.Context(), newSteps(cmd, title)
	defer steps.end()
	end := time.NewTimer(limit)
	defer end.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		var answer domainsAnswer
		err := c.json(ctx, http.MethodGet, instancePath(domain)+"/domains", nil, nil, &answer)
		if err != nil && exitCode(err) != exitUnavailable {
			return nil, err
		}
		if err == nil {
			settled, all := 0, 0
			for i := range answer.Data {
				if d := &answer.Data[i]; d.By != byApp {
					all++
					if d.settled() {
						settled++
					}
				}
			}
			steps.show(event{Step: "certificates", Done: settled, Total: all})
			if settled == all {
				return answer.Data, nil
			}
		}
		select {
		case <-poll.C:
		case <-end.C:
			return answer.Data, err
		case <-ctx.Done():
			return nil, unreachable(c.origin, ctx.Err())
		}
	}
}

// covered tells whether nothing is missing: a name that there can be no certificate for
// misses none.
func (d *Domain) covered() bool {
	switch d.State {
	case string(certificates.Issued), stateWildcard, stateIneligible:
		return true
	default:
		return d.DaysLeft != nil && *d.DaysLeft >= 0 // whose renewal has failed
	}
}

// settled tells whether nothing is under way. A try that has failed counts once the time
// of the next one is known.
func (d *Domain) settled() bool {
	switch d.State {
	case string(certificates.Failed), string(certificates.Waiting):
		return !d.NextAt.IsZero() || d.covered()
	case string(certificates.Pending): // for the sake of a budget, which takes long
		return !d.NextAt.IsZero() && d.Error != "" || d.covered()
	default:
		return d.covered()
	}
}
