// Denials: why a name may have no certificate.

package caddymodule

import (
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// deniedFor says why a name may have no certificate: the label of a metric.
type deniedFor uint8

const (
	deniedUnknown deniedFor = iota
	deniedDeleting
	deniedAddress
	deniedSingleLabel
	deniedCovered
	deniedApp
	deniedClient
	deniedKept
	deniedReasons // how many there are
)

// String is the reason as the metric has it.
func (d deniedFor) String() string {
	return [deniedReasons]string{"unknown", "deleting", "address", "single_label", "covered", "app", "client", "kept"}[d]
}

// denial is an answer, and no failure: it is a caddytls.ErrPermissionDenied, which Caddy
// logs for debugging alone. All are made once, since a flood of names must not cost memory.
type denial struct {
	reason deniedFor
	text   string
	as     error // a sentinel that it is as well; nil for none
}

// Error says why.
func (d *denial) Error() string { return d.text }

// Is implements errors.Is.
func (d *denial) Is(target error) bool {
	return target == caddytls.ErrPermissionDenied || d.as != nil && target == d.as
}

var (
	errUnknown     = &denial{reason: deniedUnknown, text: "no instance has this name"}
	errDeleting    = &denial{reason: deniedDeleting, text: "the instance is being deleted"}
	errAddress     = &denial{reason: deniedAddress, text: "an IP address is no instance's name"}
	errSingleLabel = &denial{reason: deniedSingleLabel, text: "a name without a dot is not for certificates"}
	errCovered     = &denial{reason: deniedCovered, text: "a configured wildcard covers this name"}
	errKept        = &denial{reason: deniedKept, text: "Gatehouse orders the certificate of this name itself"}
	errClient      = &denial{reason: deniedClient, text: "too many certificates were asked for from this address; try again later"}
)

// The hosts of apps, by appHosts.
var (
	errNotInstalled = &denial{reason: deniedApp, text: "the instance has no such app"}
	// errAppsBusy is a denial too: names that somebody makes up could fill the log otherwise.
	errAppsBusy = &denial{reason: deniedApp, text: "too many apps are being looked up", as: tenancy.ErrUnavailable}
)
