// Management of Pebble: its roots, what became of certificates, and when they should
// be renewed.

package testkit

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const relayLog = "relay.txt"

// CertStatus is what the CA knows of a certificate.
type CertStatus struct {
	Issued  bool // it is the CA's own
	Revoked bool
	// Reason is that of a revocation, of RFC 5280, section 5.3.1; 0 is unspecified.
	Reason uint
}

// CertStatus looks up a certificate by its serial number, also while the CA is down.
func (ca *CA) CertStatus(t testing.TB, serial *big.Int) CertStatus {
	t.Helper()
	body, err := ca.manage(t.Context(), http.MethodGet, "/cert-status-by-serial/"+serial.Text(16), nil)
	if errors.Is(err, errNotThere) {
		return CertStatus{}
	}
	var found struct {
		Status string
		Reason uint
	}
	if err == nil {
		err = json.Unmarshal(body, &found)
	}
	if err != nil {
		t.Fatal(err)
	}
	return CertStatus{Issued: true, Revoked: found.Status == "Revoked", Reason: found.Reason}
}

// SetRenewalInfo is the window in which a certificate should be renewed, in place of
// Pebble's: two days around the last third of its validity, or at once when it is
// revoked.
func (ca *CA) SetRenewalInfo(t testing.TB, cert *x509.Certificate, start, end time.Time) {
	t.Helper()
	answer, err := json.Marshal(map[string]any{"suggestedWindow": map[string]time.Time{"start": start.UTC(), "end": end.UTC()}})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{
		"Certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		"ARIResponse": string(answer),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.manage(t.Context(), http.MethodPost, "/set-renewal-info/", body); err != nil {
		t.Fatal(err)
	}
}

// answers asks Pebble and its DNS server whether they are ready, and Pebble for its
// roots. That it is this Pebble is proved by its certificate.
func (ca *CA) answers(ctx context.Context, address string, alternates int) error {
	if _, err := ca.request(ctx, http.MethodGet, "https://"+address+"/dir", nil); err != nil {
		return err
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for i := range alternates + 1 {
		for path, pool := range map[string]*x509.CertPool{"/roots/": roots, "/intermediates/": intermediates} {
			content, err := ca.manage(ctx, http.MethodGet, path+strconv.Itoa(i), nil)
			if err != nil {
				return err
			}
			if !pool.AppendCertsFromPEM(content) {
				return fmt.Errorf("no certificate in Pebble's %s%d", path, i)
			}
		}
	}
	ca.Roots, ca.Intermediates = roots, intermediates
	return ca.dnsAnswers(ctx)
}

// managementClient trusts one Pebble, and keeps no connections, which tests that
// look for leaks would find.
func managementClient(id identity) *http.Client {
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: id.trust}, DisableKeepAlives: true},
		Timeout:   startTimeout,
	}
}

var errNotThere = errors.New("Pebble does not have it")

func (ca *CA) manage(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	return ca.request(ctx, method, ca.management+path, body)
}

func (ca *CA) request(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := ca.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%w: %s %s", errNotThere, method, url)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("Pebble answers %s to %s %s: %s", resp.Status, method, url, content)
	}
	return content, nil
}

// logLimit bounds what a failed test shows of each program, in bytes.
const logLimit = 32 << 10

// show tells what the CA said, for a test that failed.
func (ca *CA) show(t testing.TB) {
	t.Helper()
	for _, file := range []string{relayLog, pebbleProgram + ".txt", dnsProgram + ".txt"} {
		said, err := os.ReadFile(filepath.Join(ca.folder, file))
		if err != nil {
			t.Log(err)
			continue
		}
		if len(said) > logLimit {
			said = append([]byte("…"), said[len(said)-logLimit:]...)
		}
		t.Logf("%s:\n%s", file, said)
	}
}
