// Settings: what a configuration says about changes, as lifecycle has it.

package caddymodule

import (
	"fmt"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/hooks"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// maxQuarantine bounds how long a name is kept from others: a longer time is a
// slip of the unit.
const maxQuarantine = 10 * 365 * 24 * time.Hour

// provisionSettings checks what settings is made of. It opens nothing.
func (a *App) provisionSettings() error {
	if err := a.provisionContexts(); err != nil {
		return err
	}
	if a.Files != "" {
		if err := checkFiles(a.Files); err != nil {
			return fmt.Errorf("files: %w", err)
		}
	}
	if a.Hooks != nil {
		if err := a.Hooks.provision(); err != nil {
			return err
		}
	}
	if q := time.Duration(a.Quarantine); q < 0 || q > maxQuarantine {
		return fmt.Errorf("quarantine: is a time of 0 to %d days", int(maxQuarantine.Hours()/24))
	}
	return nil
}

// settings is what lifecycle is to go by. hooks is what it delivers events with;
// nil for none. It opens nothing.
func (a *App) settings() (s lifecycle.Settings, delivery *hooks.Hooks, err error) {
	s = lifecycle.Settings{Contexts: map[string]lifecycle.Context{}, Quarantine: time.Duration(a.Quarantine)}
	for name, c := range a.Contexts {
		s.Contexts[name] = c.lifecycle()
	}
	if delivery, err = a.Hooks.open(a.logger, a.metrics); err != nil {
		return s, nil, err
	}
	if delivery != nil { // a nil pointer in the interface would be somebody to tell
		s.Hooks = delivery
	}
	place, err := a.openFiles()
	if err != nil {
		return s, nil, fmt.Errorf("files: %w", err)
	}
	if place != nil {
		s.Files, s.Apps = instanceFiles{place}, newInstaller(place, a.logger)
		if a.inSwift() {
			s.SwiftLayout = swiftLayout
		}
	}
	return s, delivery, nil
}
