// Metrics: gatehouse_*, none with a label for each host.

package caddymodule

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-edge/gatehouse/caddymodule/proxy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/hooks"
)

type metrics struct {
	requests   [3]prometheus.Counter // by what was done with them, a directory.Kind
	passed     prometheus.Counter    // requests that went on without an instance
	deliveries *prometheus.CounterVec
	denied     [deniedReasons]prometheus.Counter // certificates that Caddy was not to order
	proxy      *proxy.Metrics
}

// newMetrics registers with a configuration's registry. The handlers of one
// configuration share it.
func newMetrics(registry *prometheus.Registry, dir *directory.Directory) (*metrics, error) {
	requests, err := counters(registry, "requests_total", "Requests by verdict: serve, redirect, refuse, or pass, to the next handler without an instance.", "verdict")
	if err != nil {
		return nil, err
	}
	deliveries, err := counters(registry, "hook_deliveries_total", "Events by the hook that was told, and what came of it: delivered, refused, unavailable or canceled.", "kind", "outcome")
	if err != nil {
		return nil, err
	}
	denied, err := counters(registry, "tls_denied_total", "Names that Caddy's on-demand TLS was denied a certificate for, by why: unknown, deleting, address, single_label, covered (by a wildcard), app (not installed), client (over the limit of its address) or kept (Gatehouse orders it itself).", "reason")
	if err != nil {
		return nil, err
	}
	if err := registry.Register(&collector{dir: dir}); err != nil {
		var already prometheus.AlreadyRegisteredError
		if !errors.As(err, &already) {
			return nil, err
		}
	}
	proxied, err := proxy.NewMetrics(registry)
	if err != nil {
		return nil, err
	}
	m := &metrics{passed: requests.WithLabelValues("pass"), deliveries: deliveries, proxy: proxied}
	for _, kind := range []directory.Kind{directory.Refuse, directory.Serve, directory.Redirect} {
		m.requests[kind] = requests.WithLabelValues(kind.String())
	}
	for reason := range deniedReasons {
		m.denied[reason] = denied.WithLabelValues(reason.String())
	}
	for _, kind := range hooks.Kinds { // so that a first failure is seen as a rise
		for _, outcome := range hooks.Outcomes {
			deliveries.WithLabelValues(kind, outcome)
		}
	}
	return m, nil
}

// counters registers a family of counters, or finds it.
func counters(registry *prometheus.Registry, name, help string, labels ...string) (*prometheus.CounterVec, error) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "gatehouse", Name: name, Help: help}, labels)
	if err := registry.Register(vec); err != nil {
		var already prometheus.AlreadyRegisteredError
		if !errors.As(err, &already) {
			return nil, err
		}
		return already.ExistingCollector.(*prometheus.CounterVec), nil
	}
	return vec, nil
}

// hook counts a delivery.
func (m *metrics) hook(kind, outcome string) { m.deliveries.WithLabelValues(kind, outcome).Inc() }

// collector reads the directory's status when it is scraped.
type collector struct{ dir *directory.Directory }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("gatehouse_directory_"+name, help, labels, nil)
}

var (
	instancesDesc = desc("instances", "Instances in the directory.")
	hostsDesc     = desc("hosts", "Domains, aliases and old domains in the directory.")
	ageDesc       = desc("age_seconds", "How long ago what is served was last known to be what the store has; 0 while following.")
	readyDesc     = desc("ready", "1 when there is a directory to serve from.")
	stateDesc     = desc("state", "1 for the present state.", "state")
	loadsDesc     = desc("loads_total", "Readings of the whole database.")
	changesDesc   = desc("changes_total", "Changes that took effect.")
	malformedDesc = desc("malformed", "Documents that cannot be read; their last good state is served.")
	conflictsDesc = desc("conflicts", "Names that several documents have.")
	seqDesc       = desc("last_contact_timestamp_seconds", "When the store last answered.")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{instancesDesc, hostsDesc, ageDesc, readyDesc, stateDesc, loadsDesc, changesDesc, malformedDesc, conflictsDesc, seqDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.dir.Status()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ready := 0.0
	if s.Ready {
		ready = 1
	}
	gauge(instancesDesc, float64(s.Instances))
	gauge(hostsDesc, float64(s.Hosts))
	gauge(ageDesc, s.Age.Seconds())
	gauge(readyDesc, ready)
	gauge(stateDesc, 1, string(s.State))
	gauge(malformedDesc, float64(s.Malformed))
	gauge(conflictsDesc, float64(s.Conflicts))
	if !s.LastContact.IsZero() {
		gauge(seqDesc, float64(s.LastContact.UnixMilli())/1000)
	}
	ch <- prometheus.MustNewConstMetric(loadsDesc, prometheus.CounterValue, float64(s.Loads))
	ch <- prometheus.MustNewConstMetric(changesDesc, prometheus.CounterValue, float64(s.Changes))
}

// Interface guard
var _ prometheus.Collector = (*collector)(nil)
