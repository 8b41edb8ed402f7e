// Metrics: gatehouse_*, none with a label for each host.

package caddymodule

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

type metrics struct {
	requests [3]prometheus.Counter // by directory.Kind
}

// newMetrics registers with a configuration's registry. The handlers of one
// configuration share it.
func newMetrics(registry *prometheus.Registry, dir *directory.Directory) (*metrics, error) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "requests_total",
		Help: "Requests by verdict: serve, redirect or refuse.",
	}, []string{"verdict"})
	if err := registry.Register(vec); err != nil {
		var already prometheus.AlreadyRegisteredError
		if !errors.As(err, &already) {
			return nil, err
		}
		vec = already.ExistingCollector.(*prometheus.CounterVec)
	}
	if err := registry.Register(&collector{dir: dir}); err != nil {
		var already prometheus.AlreadyRegisteredError
		if !errors.As(err, &already) {
			return nil, err
		}
	}
	m := new(metrics)
	for _, kind := range []directory.Kind{directory.Refuse, directory.Serve, directory.Redirect} {
		m.requests[kind] = vec.WithLabelValues(kind.String())
	}
	return m, nil
}

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
