// Tests of what the CA refuses, with a plain client of the protocol.

package testkit_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
)

// TestRateLimited: orders for one name are refused and the client sees for how long,
// orders for others are not.
func TestRateLimited(t *testing.T) {
	t.Parallel()
	ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: 1, TLSPort: 1})
	client := account(t, ca, never)
	ca.Fail(func(r *http.Request) *http.Response {
		if testkit.EndpointOf(r) == testkit.ACMENewOrder && bytes.Contains(testkit.ACMEPayload(r), []byte(`"many.example.test"`)) {
			return testkit.ACMERateLimited(time.Hour)
		}
		return nil
	})
	order := func(name string) error {
		_, err := client.AuthorizeOrder(t.Context(), acme.DomainIDs(name))
		return err
	}
	if after, ok := acme.RateLimit(order("many.example.test")); !ok || after != time.Hour {
		t.Errorf("rate limited %t, for %s", ok, after)
	}
	if err := order("few.example.test"); err != nil {
		t.Error(err)
	}
	if n := ca.Count(testkit.ACMENewOrder); n != 2 {
		t.Errorf("%d orders", n)
	}
	ca.Fail(nil)
	if err := order("many.example.test"); err != nil {
		t.Error(err)
	}
}

// TestBlocked: the CA's policy refuses a domain and what is below it.
func TestBlocked(t *testing.T) {
	t.Parallel()
	ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: 1, TLSPort: 1, Blocked: []string{"blocked.test"}})
	client := account(t, ca, never)
	for _, name := range []string{"blocked.test", "www.blocked.test"} {
		var problem *acme.Error
		_, err := client.AuthorizeOrder(t.Context(), acme.DomainIDs(name))
		if !errors.As(err, &problem) || problem.ProblemType != "urn:ietf:params:acme:error:rejectedIdentifier" {
			t.Errorf("%s: %v, want rejectedIdentifier", name, err)
		}
	}
	if _, err := client.AuthorizeOrder(t.Context(), acme.DomainIDs("open.test")); err != nil {
		t.Error(err)
	}
}

// TestNonces: a good one is refused when that was asked for, and never otherwise.
func TestNonces(t *testing.T) {
	t.Parallel()
	for percent, repeated := range map[int]bool{0: false, 99: true} {
		ca := testkit.Pebble(t, testkit.PebbleOptions{HTTPPort: 1, TLSPort: 1, NonceReject: percent})
		client := account(t, ca, soon)
		for range 2 {
			if _, err := client.AuthorizeOrder(t.Context(), acme.DomainIDs("nonce.example.test")); err != nil {
				t.Fatal(err)
			}
		}
		if n := ca.Count(testkit.ACMENewAccount) + ca.Count(testkit.ACMENewOrder); (n > 3) != repeated {
			t.Errorf("%d %% refused: %d requests for an account and two orders", percent, n)
		}
	}
}

func never(int, *http.Request, *http.Response) time.Duration { return 0 }
func soon(int, *http.Request, *http.Response) time.Duration  { return time.Microsecond }

// account registers with a CA.
func account(t *testing.T, ca *testkit.CA, retry func(int, *http.Request, *http.Response) time.Duration) *acme.Client {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Trust}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &acme.Client{Key: key, DirectoryURL: ca.Directory, HTTPClient: &http.Client{Transport: transport}, RetryBackoff: retry}
	if _, err := client.Register(t.Context(), &acme.Account{}, acme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	return client
}
