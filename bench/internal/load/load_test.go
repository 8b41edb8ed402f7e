// The generator, against servers of the standard library.

package load_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/bench/internal/load"
)

func host(dst []byte, r *rand.Rand) []byte { return fmt.Appendf(dst, "h%d.example.com", r.IntN(10)) }

func TestRun(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/hello" && r.Host != "":
			_, _ = io.WriteString(w, "hello") // the client may have gone
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	for _, c := range []struct {
		name         string
		tls, h2      bool
		rate         float64
		status       int
		errors, none bool
	}{
		{name: "http1", status: 200},
		{name: "paced", status: 200, rate: 200},
		{name: "tls", status: 200, tls: true},
		{name: "h2", status: 200, tls: true, h2: true},
		{name: "wrong", status: 204, none: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(handler)
			var roots *x509.CertPool
			if c.tls {
				server.EnableHTTP2 = c.h2
				server.StartTLS()
				roots = x509.NewCertPool()
				roots.AddCert(server.Certificate())
			} else {
				server.Start()
			}
			defer server.Close()
			named := func(dst []byte, r *rand.Rand) []byte {
				if c.tls {
					return append(dst, "example.com"...)
				}
				return host(dst, r)
			}
			got, err := load.Run(t.Context(), load.Plan{
				Address: server.Listener.Addr().String(), Roots: roots, HTTP2: c.h2, Streams: 3, Connections: 2,
				Host: named, Status: c.status, Rate: c.rate, Duration: 300 * time.Millisecond,
			})
			if c.none {
				if err == nil {
					t.Fatalf("%d requests", got.Requests)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Errors > 0 || got.Latency.Quantile(0.5) <= 0 {
				t.Errorf("%d errors, the first is %v", got.Errors, got.FirstError)
			}
			if most := int64(c.rate*0.3) + 2; c.rate > 0 && got.Requests > most {
				t.Errorf("%d requests, and not at most %d", got.Requests, most)
			}
		})
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h load.Histogram
	for i := range 1000 {
		h.Add(time.Duration(i) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond} {
		if got := h.Quantile(q); got > want || got < want*31/32 {
			t.Errorf("quantile %g is %s, and not %s", q, got, want)
		}
	}
}
