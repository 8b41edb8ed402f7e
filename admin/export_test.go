// Doors for the tests: the command without Caddy's main function, and a
// listener with a clock of the test's.

package admin

import (
	"errors"
	"reflect"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

// NewCommand is `instances`.
func NewCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "instances"}
	setUp(cmd)
	return cmd
}

// CodeOf is the exit code that Caddy's main function makes of an error.
func CodeOf(err error) int {
	for ; err != nil; err = errors.Unwrap(err) {
		if v := reflect.Indirect(reflect.ValueOf(err)); v.Kind() == reflect.Struct {
			if f := v.FieldByName("ExitCode"); f.IsValid() {
				return int(f.Int())
			}
		}
		if errors.Unwrap(err) == nil {
			return exitFailed
		}
	}
	return 0
}

// ProvisionAt is Provision with a registry and a clock.
func (l *Listener) ProvisionAt(registry *prometheus.Registry, now func() time.Time) error {
	return l.provision(registry, now)
}

// ParseDuration is how durations are read.
var ParseDuration = parseDuration
