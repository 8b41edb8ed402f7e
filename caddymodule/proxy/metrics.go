// Metrics: gatehouse_proxy_*, by upstream. They are named in the configuration, so there
// are few.

package proxy

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of all Proxies of one registry. A nil one counts nothing.
type Metrics struct {
	requests    *prometheus.CounterVec
	errors      *prometheus.CounterVec
	retries     *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	connections *prometheus.GaugeVec
}

// NewMetrics registers the metrics, or finds them.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "gatehouse", Subsystem: "proxy", Name: name, Help: help}
	}
	m := &Metrics{
		requests:    prometheus.NewCounterVec(prometheus.CounterOpts(opts("requests_total", "Answers of an upstream, by the class of their status.")), []string{"upstream", "class"}),
		errors:      prometheus.NewCounterVec(prometheus.CounterOpts(opts("errors_total", "Requests without an answer of an upstream, by the status instead: 502, 503 (all connections taken), 504, 499 (the client left), 400, 408 or 413 (its body could not be read); and answers that broke off, as `broken`.")), []string{"upstream", "status"}),
		retries:     prometheus.NewCounterVec(prometheus.CounterOpts(opts("retries_total", "Requests that were sent again, by the upstream that had not answered.")), []string{"upstream"}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("connections", "Open connections to an upstream.")), []string{"upstream"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gatehouse", Subsystem: "proxy", Name: "duration_seconds",
			Help: "From a request's arrival at the proxy to the header of the upstream's answer.", Buckets: prometheus.DefBuckets,
		}, []string{"upstream"}),
	}
	var err error
	m.requests = register(registry, m.requests, &err)
	m.errors = register(registry, m.errors, &err)
	m.retries = register(registry, m.retries, &err)
	m.duration = register(registry, m.duration, &err)
	m.connections = register(registry, m.connections, &err)
	return m, err
}

func register[T prometheus.Collector](registry prometheus.Registerer, c T, failed *error) T {
	err := registry.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		return already.ExistingCollector.(T)
	}
	*failed = errors.Join(*failed, err)
	return c
}

// upstreamMetrics are those of one upstream, looked up once.
type upstreamMetrics struct {
	classes     [6]prometheus.Counter // by the first digit of a status
	duration    prometheus.Observer
	connections prometheus.Gauge
}

func (m *Metrics) of(address string) (u upstreamMetrics) {
	if m == nil {
		return u
	}
	for class := 2; class < len(u.classes); class++ {
		u.classes[class] = m.requests.WithLabelValues(address, strconv.Itoa(class)+"xx")
	}
	u.duration = m.duration.WithLabelValues(address)
	u.connections = m.connections.WithLabelValues(address)
	m.retries.WithLabelValues(address)
	for _, status := range []int{http.StatusBadGateway, http.StatusGatewayTimeout} {
		m.errors.WithLabelValues(address, strconv.Itoa(status)) // so that a first failure is seen as a rise
	}
	return u
}

func (u *upstreamMetrics) answered(status int, latency time.Duration) {
	if u.duration == nil {
		return
	}
	u.duration.Observe(latency.Seconds())
	if class := status / 100; class < len(u.classes) && u.classes[class] != nil {
		u.classes[class].Inc()
	}
}

func (u *upstreamMetrics) opened() {
	if u.connections != nil {
		u.connections.Inc()
	}
}

func (u *upstreamMetrics) closed() {
	if u.connections != nil {
		u.connections.Dec()
	}
}

func (m *Metrics) retried(address string) {
	if m != nil {
		m.retries.WithLabelValues(address).Inc()
	}
}

func (m *Metrics) broken(address string) {
	if m != nil {
		m.errors.WithLabelValues(address, "broken").Inc()
	}
}

func (m *Metrics) failed(address string, status int) {
	if m != nil {
		m.errors.WithLabelValues(address, strconv.Itoa(status)).Inc()
	}
}
