// Tests of the CA that the kit runs, with CertMagic as its client.

package testkit_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// TestIssuance: by either challenge, with the requests that an order takes, and no
// longer valid than asked for.
func TestIssuance(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*certmagic.ACMEIssuer){
		"http-01":     nil,
		"tls-alpn-01": func(i *certmagic.ACMEIssuer) { i.DisableHTTPChallenge, i.DisableTLSALPNChallenge = true, false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			f := newFront(t, testkit.PebbleOptions{Validity: 2 * time.Hour, Strict: true}, change)
			started := time.Now()
			// Challenges under way are one list for the process, by name.
			cert := f.must(t, name+".example.test")
			t.Logf("start %s, issuance %s", started.Sub(begun).Round(time.Millisecond), time.Since(started).Round(time.Millisecond))
			// The last second is within.
			if valid := cert.NotAfter.Sub(cert.NotBefore) + time.Second; valid != 2*time.Hour {
				t.Errorf("valid for %s", valid)
			}
			for _, e := range []testkit.Endpoint{testkit.ACMENewAccount, testkit.ACMENewOrder, testkit.ACMEChallenge, testkit.ACMEFinalize, testkit.ACMECertificate} {
				if n := f.Count(e); n != 1 {
					t.Errorf("%d requests of %s", n, e)
				}
			}
			if n := f.Count(testkit.ACMERevoke); n != 0 {
				t.Errorf("%d revocations", n)
			}
		})
	}
}

// TestRoot: the file is what an ACME client in another process needs.
func TestRoot(t *testing.T) {
	t.Parallel()
	ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: 1, TLSPort: 1, ChainLength: 2, AlternateRoots: 1})
	content, err := os.ReadFile(ca.Root)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		t.Fatalf("no certificate in %s", content)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		directory := strings.Replace(ca.Directory, "127.0.0.1", host, 1)
		resp, body := get(t, pool, directory)
		if base := strings.TrimSuffix(directory, "/dir"); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"`+base+"/order-plz\"") {
			t.Errorf("%s: %s %s", directory, resp.Status, body)
		}
	}
	if n := ca.Count(testkit.ACMEDirectory); n != 2 {
		t.Errorf("%d requests for the directory", n)
	}
}

// TestDown: nothing is answered, connections that are kept are cut, and afterwards
// the account and its orders are still there.
func TestDown(t *testing.T) {
	t.Parallel()
	f := newFront(t, testkit.PebbleOptions{}, nil)
	first := f.must(t, "one.example.test")
	f.Down()
	if err := f.obtain(t, "two.example.test"); err == nil {
		t.Fatal("a certificate of a CA that is down")
	}
	if n := f.Count(testkit.ACMENewOrder); n != 1 || f.Refused() == 0 {
		t.Errorf("%d orders, %d connections refused", n, f.Refused())
	}
	if status := f.CertStatus(t, first.SerialNumber); !status.Issued {
		t.Error("a certificate is forgotten")
	}
	f.Up()
	f.must(t, "two.example.test")
	if accounts, orders := f.Count(testkit.ACMENewAccount), f.Count(testkit.ACMENewOrder); accounts != 1 || orders != 2 {
		t.Errorf("%d accounts, %d orders", accounts, orders)
	}
}

// TestDownCuts: a request that waits for its answer gets none.
func TestDownCuts(t *testing.T) {
	t.Parallel()
	ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: 1, TLSPort: 1})
	arrived := make(chan struct{})
	ca.Fail(func(r *http.Request) *http.Response {
		close(arrived)
		<-r.Context().Done()
		return nil
	})
	done := make(chan error, 1)
	go func() {
		_, err := fetch(context.Background(), ca.Trust, ca.Directory)
		done <- err
	}()
	<-arrived
	ca.Down()
	if err := <-done; err == nil {
		t.Error("an answer of a CA that is down")
	}
	ca.Fail(nil)
	ca.Up()
	if resp, _ := get(t, ca.Trust, ca.Directory); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

// TestDownInTheMiddle: an order that lost its CA is not finalized.
func TestDownInTheMiddle(t *testing.T) {
	t.Parallel()
	f := newFront(t, testkit.PebbleOptions{}, nil)
	f.Fail(func(r *http.Request) *http.Response {
		if testkit.EndpointOf(r) == testkit.ACMEFinalize {
			f.Down()
		}
		return nil
	})
	if err := f.obtain(t, "middle.example.test"); err == nil {
		t.Fatal("a certificate of a CA that went down")
	}
	f.Fail(nil)
	f.Up()
	f.must(t, "middle.example.test")
	if n := f.Count(testkit.ACMECertificate); n != 1 {
		t.Errorf("%d certificates", n)
	}
}

// TestRevocation is seen, with its reason; and Pebble then wants a renewal at once.
func TestRevocation(t *testing.T) {
	t.Parallel()
	f := newFront(t, testkit.PebbleOptions{}, nil)
	cert := f.must(t, "gone.example.test")
	if got := f.CertStatus(t, cert.SerialNumber); got != (testkit.CertStatus{Issued: true}) {
		t.Errorf("before: %+v", got)
	}
	const cessation = 5
	if err := f.config.RevokeCert(t.Context(), "gone.example.test", cessation, false); err != nil {
		t.Fatal(err)
	}
	if got := f.CertStatus(t, cert.SerialNumber); got != (testkit.CertStatus{Issued: true, Revoked: true, Reason: cessation}) {
		t.Errorf("after: %+v", got)
	}
	if n := f.Count(testkit.ACMERevoke); n != 1 {
		t.Errorf("%d revocations", n)
	}
	other := *cert.SerialNumber
	if got := f.CertStatus(t, other.Add(&other, &other)); got != (testkit.CertStatus{}) {
		t.Errorf("of no certificate: %+v", got)
	}
}

// TestRenewalInfo: the window is what was set, and is asked for again when told to.
func TestRenewalInfo(t *testing.T) {
	t.Parallel()
	f := newFront(t, testkit.PebbleOptions{RenewalRetryAfter: time.Minute}, nil)
	cert := f.must(t, "soon.example.test")
	start := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	f.SetRenewalInfo(t, cert, start, start.Add(time.Hour))
	managed, err := f.config.CacheManagedCertificate(t.Context(), "soon.example.test")
	if err != nil {
		t.Fatal(err)
	}
	before := f.Count(testkit.ACMERenewalInfo)
	info, err := f.issuer.GetRenewalInfo(t.Context(), managed)
	if err != nil {
		t.Fatal(err)
	}
	if !info.SuggestedWindow.Start.Equal(start) || !info.SuggestedWindow.End.Equal(start.Add(time.Hour)) {
		t.Errorf("window %s to %s", info.SuggestedWindow.Start, info.SuggestedWindow.End)
	}
	if info.RetryAfter == nil || time.Until(*info.RetryAfter) > time.Minute {
		t.Errorf("again at %v", info.RetryAfter)
	}
	if n := f.Count(testkit.ACMERenewalInfo); n != before+1 {
		t.Errorf("%d requests for renewal information", n-before)
	}
}

// TestCADiesWithItsParent runs this test binary once more, as a parent that is killed
// without a chance to clean up.
func TestCADiesWithItsParent(t *testing.T) {
	const variable = "TESTKIT_CA_PARENT"
	if os.Getenv(variable) != "" {
		ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: 1, TLSPort: 1})
		os.Stdout.WriteString(ca.DNS + "\n")
		select {} // until it is killed
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCADiesWithItsParent$")
	cmd.Env = append(os.Environ(), variable+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 100)
	n, err := out.Read(line)
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // the status of a killed process
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 20*time.Second; {
		conn, err := net.Dial("tcp", strings.TrimSpace(string(line[:n])))
		if err != nil {
			return
		}
		_ = conn.Close()
	}
	t.Fatal("the CA has outlived its parent")
}

func get(t *testing.T, trust *x509.CertPool, url string) (*http.Response, string) {
	t.Helper()
	resp, err := fetch(t.Context(), trust, url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp, body.String()
}

func fetch(ctx context.Context, trust *x509.CertPool, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, DisableKeepAlives: true}}
	return client.Do(req)
}
