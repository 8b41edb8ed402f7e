// Metrics of certificates: gatehouse_tls_*, none with a label for each host.

package caddymodule

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// certificateStates are those that a name's certificate can have.
var certificateStates = []certificates.State{certificates.Pending, certificates.Waiting, certificates.Ordered, certificates.Failed, certificates.Issued}

// certificateCollector reads what a front door knows of certificates when it is scraped.
type certificateCollector struct{ service *certificates.Service }

func tlsDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("gatehouse_tls_"+name, help, labels, nil)
}

var (
	tlsLeadsDesc    = tlsDesc("leads", "1 on the front door that orders for all that share its storage.")
	tlsQueueDesc    = tlsDesc("queue", "Names that the leader is going to look at.")
	tlsNamesDesc    = tlsDesc("names", "Names by the state of their certificate; of the leader's last sweep.", "state")
	tlsHeldDesc     = tlsDesc("certificates", "Certificates that are good for at most so long; of the leader's last sweep.", "left")
	tlsSweepDesc    = tlsDesc("sweep_timestamp_seconds", "When the leader last looked through all names.")
	tlsOrdersDesc   = tlsDesc("orders_total", "Orders by what came of them: issued or failed; and paced, which had to wait for a budget.", "outcome")
	tlsRemovedDesc  = tlsDesc("removed_total", "Names whose certificate was removed, since they are nobody's.")
	tlsGoneDesc     = tlsDesc("gone", "Certificates of names that are nobody's any more, and are to be removed; of the leader's last sweep.")
	tlsBrakedDesc   = tlsDesc("removals_slowed_total", "Removals that had to wait, since there were many.")
	tlsRevokedDesc  = tlsDesc("revoked_total", "Certificates that were revoked.")
	tlsOverrunsDesc = tlsDesc("demands_denied_total", "Handshakes that were refused a new certificate, since their client had asked for too many.")
)

// Describe implements prometheus.Collector.
func (c *certificateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{tlsLeadsDesc, tlsQueueDesc, tlsNamesDesc, tlsHeldDesc, tlsSweepDesc, tlsOrdersDesc, tlsRemovedDesc, tlsGoneDesc, tlsBrakedDesc, tlsRevokedDesc, tlsOverrunsDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *certificateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	leads := 0.0
	if c.service.Leads() {
		leads = 1
	}
	gauge(tlsLeadsDesc, leads)
	gauge(tlsQueueDesc, float64(c.service.Queue()))
	// What a leader before this one has seen is told by nobody: it would be old.
	if sum := c.service.Sum(); leads == 1 && sum != nil {
		for _, state := range certificateStates {
			gauge(tlsNamesDesc, float64(sum.States[state]), string(state))
		}
		for i, limit := range certificates.Buckets {
			if i < len(sum.Left) {
				gauge(tlsHeldDesc, float64(sum.Left[i]), days(limit))
			}
		}
		gauge(tlsHeldDesc, float64(sum.Held), "+Inf")
		gauge(tlsGoneDesc, float64(sum.Gone))
		if !sum.At.IsZero() {
			gauge(tlsSweepDesc, float64(sum.At.UnixMilli())/1000)
		}
	}
	n := c.service.Counts()
	counter(tlsOrdersDesc, n.Orders, "issued")
	counter(tlsOrdersDesc, n.Failures, "failed")
	counter(tlsOrdersDesc, n.Paced, "paced")
	counter(tlsRemovedDesc, n.Removed)
	counter(tlsBrakedDesc, n.Braked)
	counter(tlsRevokedDesc, n.Revoked)
	counter(tlsOverrunsDesc, n.Denied)
}

// days is a limit as a label, as 7d.
func days(d time.Duration) string { return strconv.Itoa(int(d/(24*time.Hour))) + "d" }

// registerCertificates registers the metrics with a configuration's registry.
func registerCertificates(registry *prometheus.Registry, s *certificates.Service) error {
	err := registry.Register(&certificateCollector{s})
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		return nil
	}
	return err
}

// Interface guard
var _ prometheus.Collector = (*certificateCollector)(nil)
