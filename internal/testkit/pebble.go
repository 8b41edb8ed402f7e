// Pebble: Let's Encrypt's ACME test CA and the DNS that it asks, as children of the
// test, behind a relay that counts, injects answers and can be down.

package testkit

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// PebbleOptions says how a CA behaves. The ports are needed, the rest may be zero.
type PebbleOptions struct {
	// HTTPPort and TLSPort are where the CA connects to for http-01 and tls-alpn-01,
	// in place of 80 and 443: the ports that the front door under test listens on.
	HTTPPort, TLSPort int
	// Validity is how long certificates are valid, in whole seconds; 90 days where
	// it is 0.
	Validity time.Duration
	// AuthzReuse is how often a valid authorization is used again, in percent. At 0
	// it is still 1 order in 100, since Pebble compares with ">": a test must not
	// rest on a challenge for each of many orders of a name.
	AuthzReuse int
	// NonceReject is how often a good nonce is refused, in percent. A client repeats
	// the request, which counts again.
	NonceReject int
	// Strict refuses what coming versions of ACME will.
	Strict bool
	// Blocked lists domains for which, and below which, orders are refused as
	// rejectedIdentifier. Orders for fewer labels than a blocked domain has cut the
	// connection where these labels match, which is a defect of Pebble.
	Blocked []string
	// ChainLength is the number of intermediate certificates; 1 where it is 0.
	ChainLength int
	// AlternateRoots is the number of further chains that a client can choose.
	AlternateRoots int
	// RenewalRetryAfter is when a client should ask for renewal information again,
	// in whole seconds. Where it is 0 that is Pebble's 6 h.
	RenewalRetryAfter time.Duration
}

// CA is a running Pebble, with its names resolved by a DNS server of its own. Its
// methods may be called concurrently.
type CA struct {
	// Directory is the URL of the ACME directory, with https.
	Directory string
	// Root is the PEM file of the root that signs the certificate of Directory, and
	// Trust is what is in it.
	Root  string
	Trust *x509.CertPool
	// Roots and Intermediates verify the certificates that the CA has issued.
	Roots, Intermediates *x509.CertPool
	// DNS is the address, host:port, of the DNS server, with UDP and TCP.
	DNS string

	*relay
	folder        string // with its configuration and what it says
	management    string // URL of Pebble's management interface
	dnsManagement string
	client        *http.Client // for the management interfaces
	children      []*child
}

// Pebble starts a CA of the test's own, which ends with the test. What it said is
// shown when the test fails. A CA that cannot be started fails the test.
func Pebble(t testing.TB, options PebbleOptions) *CA {
	t.Helper()
	if err := options.check(); err != nil {
		t.Fatal(err)
	}
	programs, err := pebbleFolder()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := newCA(t.TempDir(), programs, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ca.relay.close()
		ca.stop()
		if t.Failed() {
			ca.show(t)
		}
	})
	return ca
}

func (o *PebbleOptions) check() error {
	switch {
	case o.HTTPPort <= 0 || o.TLSPort <= 0:
		return errors.New("PebbleOptions needs HTTPPort and TLSPort, where a CA looks for answers to its challenges")
	case o.Validity < 0 || o.Validity%time.Second != 0:
		return fmt.Errorf("a validity of %s is not in whole seconds", o.Validity)
	case o.RenewalRetryAfter < 0 || o.RenewalRetryAfter%time.Second != 0:
		return fmt.Errorf("asking for renewal information again after %s is not in whole seconds", o.RenewalRetryAfter)
	case o.AuthzReuse < 0 || o.AuthzReuse > 100 || o.NonceReject < 0 || o.NonceReject > 99:
		return errors.New("AuthzReuse is 0 to 100 percent, NonceReject 0 to 99")
	case o.ChainLength < 0 || o.AlternateRoots < 0:
		return errors.New("ChainLength and AlternateRoots are not negative")
	}
	return nil
}

func newCA(folder, programs string, options PebbleOptions) (*CA, error) {
	id, err := newIdentity(folder)
	if err != nil {
		return nil, err
	}
	ca := &CA{folder: folder, Root: id.rootFile, Trust: id.trust, client: managementClient(id)}
	// Between the choice of free ports and their use another process can take one.
	for range 5 {
		var address string
		if address, err = ca.start(programs, id, options); err == nil {
			if ca.relay, err = newRelay(folder, address, id, options.RenewalRetryAfter); err == nil {
				ca.Directory = ca.relay.url() + "/dir"
				return ca, nil
			}
			ca.stop()
		}
		if !errors.Is(err, errPebblePort) {
			return nil, err
		}
	}
	return nil, err
}

var errPebblePort = errors.New("a port of Pebble or its DNS server is taken")

// start runs Pebble and its DNS server, and is done when they answer; it tells
// where Pebble does.
func (ca *CA) start(programs string, id identity, o PebbleOptions) (address string, err error) {
	ports, err := freePorts(4)
	if err != nil {
		return "", err
	}
	at := func(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i])) }
	address, ca.DNS = at(0), at(2)
	ca.management, ca.dnsManagement = "https://"+at(1), "http://"+at(3)
	config := filepath.Join(ca.folder, "pebble.json")
	if err := writeConfig(config, id, o, address, at(1)); err != nil {
		return "", err
	}
	// The test's own environment must not change what the options say.
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "PEBBLE_") })
	env = append(env,
		"PEBBLE_VA_NOSLEEP=1",
		"PEBBLE_AUTHZREUSE="+strconv.Itoa(o.AuthzReuse),
		"PEBBLE_WFE_NONCEREJECT="+strconv.Itoa(o.NonceReject),
		"PEBBLE_CHAIN_LENGTH="+strconv.Itoa(max(1, o.ChainLength)),
		"PEBBLE_ALTERNATE_ROOTS="+strconv.Itoa(o.AlternateRoots),
	)
	defer func() {
		if err != nil {
			ca.stop()
		}
	}()
	dns, err := startChild(ca.folder, filepath.Join(programs, dnsProgram), env,
		"-dnsserver", ca.DNS, "-management", at(3), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	if err != nil {
		return "", err
	}
	ca.children = append(ca.children, dns)
	pebble, err := startChild(ca.folder, filepath.Join(programs, pebbleProgram), env,
		"-config", config, "-dnsserver", ca.DNS, "-strict="+strconv.FormatBool(o.Strict))
	if err != nil {
		return "", err
	}
	ca.children = append(ca.children, pebble)
	return address, ca.await(address, o.AlternateRoots)
}

func writeConfig(name string, id identity, o PebbleOptions, address, management string) error {
	type profile struct {
		Description    string
		ValidityPeriod int64 // in seconds; 0 is Pebble's default
	}
	content, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "managementListenAddress": management,
		"certificate": id.certFile, "privateKey": id.keyFile,
		"httpPort": o.HTTPPort, "tlsPort": o.TLSPort,
		"domainBlocklist": o.Blocked,
		"keyAlgorithm":    "ecdsa", // keys of RSA take a second to make
		// Only one, since Pebble takes any of them for orders that name none. And no
		// retryAfter, so that clients poll as often as they want.
		"profiles": map[string]profile{"default": {"The profile of the test", int64(o.Validity / time.Second)}},
	}})
	if err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o600)
}

// await waits until these programs, and no others on their ports, answer. What has a
// port that one of them wanted may be silent, so that they are watched meanwhile.
func (ca *CA) await(address string, alternates int) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- ca.ask(ctx, address, alternates) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ready:
			return err
		case <-tick.C:
			if err := ca.trouble(); err != nil {
				cancel()
				<-ready
				return err
			}
		}
	}
}

// ask asks until there are answers.
func (ca *CA) ask(ctx context.Context, address string, alternates int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ca.answers(ctx, address, alternates)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("Pebble does not answer within %s: %w", startTimeout, err)
		}
	}
}

// trouble is why there will be no answers. The DNS server runs on without its ports.
func (ca *CA) trouble() error {
	for _, c := range ca.children {
		ended := c.ended() // before its last words are read
		if c.portTaken() {
			return errPebblePort
		}
		if ended {
			return fmt.Errorf("%s has ended; it said:\n%s", c.name, c.said())
		}
	}
	return nil
}

// stop ends the children.
func (ca *CA) stop() {
	for _, c := range ca.children {
		c.stop()
	}
	ca.children = nil
	ca.client.CloseIdleConnections()
}

// freePorts finds several ports at once, so that they differ.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
