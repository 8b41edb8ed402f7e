// What the tests of certificates share: an authority, a DNS, and an API whose front door
// keeps certificates.

package admin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"iter"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// authority issues at once, but for the names that it is told to refuse.
type authority struct {
	t   *testing.T
	key *ecdsa.PrivateKey

	mu      sync.Mutex
	refused map[string]bool
}

func newAuthority(t *testing.T, refused ...string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, refused: map[string]bool{}}
	for _, name := range refused {
		a.refused[name] = true
	}
	return a
}

func (a *authority) IssuerKey() string { return "test-authority" }

func (a *authority) Issue(_ context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refused[csr.DNSNames[0]] {
		return nil, errors.New("the authority does not like this name")
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: csr.DNSNames[0]}, DNSNames: csr.DNSNames,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90*24*time.Hour + time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, &x509.Certificate{Subject: pkix.Name{CommonName: "A test's authority"}}, csr.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return &certmagic.IssuedCertificate{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// zone is a DNS in which names are CNAMEs.
type zone struct {
	mu     sync.Mutex
	cnames map[string]string
	looks  int
}

func (z *zone) set(name, target string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.cnames == nil {
		z.cnames = map[string]string{}
	}
	z.cnames[name+"."] = target + "."
}

func (z *zone) LookupCNAME(_ context.Context, host string) (string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.looks++
	if target, ok := z.cnames[host]; ok {
		return target, nil
	}
	return "", &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (z *zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (z *zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// edge is what a name has to point to in tests with a proof.
const edge = "edge.example.net"

func (z *zone) proof() *certificates.Proof {
	return &certificates.Proof{Names: []string{edge}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, Resolver: z}
}

// hosts are the names of a directory. Those with the port 8443 are served with HTTPS.
type hosts struct{ dir *directory.Directory }

const httpsPort = "8443"

func (h hosts) Owner(name string) (certificates.Owner, bool) {
	m, ok := h.dir.Resolve(name, directory.Nested)
	if !ok {
		if m, ok = h.dir.Resolve(net.JoinHostPort(name, httpsPort), directory.Nested); !ok {
			return certificates.Owner{}, false
		}
	}
	o := certificates.Owner{Instance: m.Entry.ID(), Deleting: m.Entry.State() == tenancy.Deleting, Slug: m.Slug}
	if m.Slug != "" {
		o.Parent = m.Key
	}
	return o, true
}

func (h hosts) Names() iter.Seq2[string, certificates.Owner] {
	return func(yield func(string, certificates.Owner) bool) {
		for e := range h.dir.All() {
			for _, name := range namesOf(e) {
				if !yield(name, certificates.Owner{Instance: e.ID()}) {
					return
				}
			}
		}
	}
}

func namesOf(e directory.Entry) (names []string) {
	if e.IsZero() {
		return nil
	}
	for _, key := range append([]string{e.Key(), e.OldDomain()}, e.Aliases()...) {
		name, port, ported := net.SplitHostPort(key)
		switch {
		case key != "" && ported != nil:
			names = append(names, key)
		case port == httpsPort:
			names = append(names, name)
		}
	}
	return names
}

func (h hosts) Quarantined(name string) bool {
	return h.dir.Decide(name, directory.Nested).Code == tenancy.CodeQuarantined
}

func (h hosts) Loaded() bool { return h.dir.Loaded() }

func (h hosts) Installed(context.Context, certificates.Owner) (bool, error) { return true, nil }

func (h hosts) Gone(context.Context, *certificates.Record) (bool, error) { return false, nil }

// keep has the API's front door keep certificates, of which none are ordered yet.
func (a *api) keep(settings certificates.Settings) *certificates.Service {
	a.t.Helper()
	cluster := a.app.cluster
	if _, err := cluster.CreateDB(a.t.Context(), provision.TLSDB); err != nil {
		a.t.Fatal(err)
	}
	if settings.Storage == nil {
		settings.Storage = &certmagic.FileStorage{Path: a.t.TempDir()}
	}
	if settings.Issuers == nil {
		settings.Issuers = []certmagic.Issuer{newAuthority(a.t)}
	}
	settings.DisableOCSPStapling = true
	service := certificates.New(certificates.Options{Cluster: cluster, Hosts: hosts{a.app.dir}, Node: "node"})
	service.Use(&settings)
	a.app.certs = service
	a.t.Cleanup(func() { // the memory of certificates has a goroutine, which the end of Run ends
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		service.Run(ended)
	})
	return service
}

// order begins to order.
func (a *api) order(settings certificates.Settings) *certificates.Service {
	a.t.Helper()
	service := a.keep(settings)
	stop := a.app.dir.Subscribe(func(_, e directory.Entry) { service.Want(namesOf(e)...) })
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { service.Run(ctx) })
	a.t.Cleanup(func() { stop(); cancel(); running.Wait() })
	return service
}

// record writes what is known of a name.
func (a *api) record(rec certificates.Record) {
	a.t.Helper()
	service := a.app.certs
	if _, err := service.Records(a.t.Context(), nil); err != nil { // the storage has an id from now on
		a.t.Fatal(err)
	}
	id, err := service.Settings().Storage.Load(a.t.Context(), "gatehouse/storage_id")
	if err != nil {
		a.t.Fatal(err)
	}
	rec.ID = string(id) + ":" + rec.Name
	if _, err := a.app.cluster.Put(a.t.Context(), provision.TLSDB, rec.ID, rec); err != nil {
		a.t.Fatal(err)
	}
}
