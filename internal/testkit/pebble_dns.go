// DNS of the CA: which addresses the names of a test have. Every name is 127.0.0.1,
// without an IPv6 address, until a test says otherwise.

package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// noAddress is no address, and the DNS server leaves such out of its answers: so a
// name can have none, where otherwise a default would step in.
const noAddress = "none"

// SetA gives a host these IPv4 addresses in place of those that it had, and with
// none of them it has none. In between, a query may see the default.
func (ca *CA) SetA(t testing.TB, host string, addresses ...string) {
	t.Helper()
	ca.setAddresses(t, "a", host, addresses)
}

// SetAAAA is SetA for IPv6 addresses, which the CA prefers.
func (ca *CA) SetAAAA(t testing.TB, host string, addresses ...string) {
	t.Helper()
	ca.setAddresses(t, "aaaa", host, addresses)
}

func (ca *CA) setAddresses(t testing.TB, record, host string, addresses []string) {
	t.Helper()
	if len(addresses) == 0 {
		addresses = []string{noAddress}
	}
	ca.tellDNS(t, "clear-"+record, map[string]any{"host": name(host)})
	ca.tellDNS(t, "add-"+record, map[string]any{"host": name(host), "addresses": addresses})
}

// ClearA gives a host the default again.
func (ca *CA) ClearA(t testing.TB, host string) {
	t.Helper()
	ca.tellDNS(t, "clear-a", map[string]any{"host": name(host)})
}

// SetDefaultA is the IPv4 address of all hosts that have no other; "" is none.
func (ca *CA) SetDefaultA(t testing.TB, address string) {
	t.Helper()
	ca.tellDNS(t, "set-default-ipv4", map[string]any{"ip": address})
}

// SetTXT gives a host these texts in place of those that it had.
func (ca *CA) SetTXT(t testing.TB, host string, values ...string) {
	t.Helper()
	ca.tellDNS(t, "clear-txt", map[string]any{"host": name(host)})
	for _, value := range values {
		ca.tellDNS(t, "set-txt", map[string]any{"host": name(host), "value": value})
	}
}

// SetCNAME makes a host an alias of another, for one step; with "" it is none.
func (ca *CA) SetCNAME(t testing.TB, host, target string) {
	t.Helper()
	if target == "" {
		ca.tellDNS(t, "clear-cname", map[string]any{"host": name(host)})
		return
	}
	ca.tellDNS(t, "set-cname", map[string]any{"host": name(host), "target": name(target)})
}

// SetServFail lets queries for a host fail, or no longer.
func (ca *CA) SetServFail(t testing.TB, host string, fails bool) {
	t.Helper()
	order := "clear-servfail"
	if fails {
		order = "set-servfail"
	}
	ca.tellDNS(t, order, map[string]any{"host": name(host)})
}

// Resolver asks the DNS server of the CA, over "udp" or "tcp".
func (ca *CA) Resolver(network string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, ca.DNS)
	}}
}

// name is a host as the DNS server knows it, which tells upper case from lower.
func name(host string) string { return strings.ToLower(host) }

func (ca *CA) tellDNS(t testing.TB, order string, body map[string]any) {
	t.Helper()
	if err := ca.orderDNS(t.Context(), order, body); err != nil {
		t.Fatal(err)
	}
}

func (ca *CA) orderDNS(ctx context.Context, order string, body map[string]any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ca.dnsManagement+"/"+order, bytes.NewReader(content))
	if err != nil {
		return err
	}
	resp, err := ca.client.Do(req)
	if err != nil {
		return fmt.Errorf("the DNS server of the CA: %w", err)
	}
	_ = resp.Body.Close() // its status is all that is wanted
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the DNS server of the CA answers %s to %s of %s", resp.Status, order, content)
	}
	return nil
}

// dnsAnswers proves that the DNS server and its management are those of this CA:
// others on their ports cannot know what the one tells the other.
func (ca *CA) dnsAnswers(ctx context.Context) error {
	proof := Prefix()
	host := proof + "proof.test"
	if err := ca.orderDNS(ctx, "set-txt", map[string]any{"host": host, "value": proof}); err != nil {
		return err
	}
	for _, network := range []string{"udp", "tcp"} {
		texts, err := ca.Resolver(network).LookupTXT(ctx, host+".")
		if err != nil {
			return err
		}
		if len(texts) != 1 || texts[0] != proof {
			return fmt.Errorf("another DNS server answers on %s", ca.DNS)
		}
	}
	return ca.orderDNS(ctx, "clear-txt", map[string]any{"host": host})
}
