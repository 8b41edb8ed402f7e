// What the tests share: a fleet of front doors on one store and one storage, a clock,
// and waiting.

package certificates_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/internal/testkit"
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// It looks every 5 s whether a lock on a file has been released.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		// CertMagic has one for each account, until the process ends.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
	)
}

// clock goes on by itself, and is put forward by tests.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }
func (c *clock) advanceTo(at time.Time)  { c.advance(at.Sub(c.Now()) + time.Second) }

// fleet is what front doors share.
type fleet struct {
	t       *testing.T
	open    func() *couch.Cluster // of the same store each time
	storage certmagic.Storage
	hosts   *hosts
	ca      *authority
	clock   *clock
	lease   time.Duration
}

// newFleet is one on an embedded store, whose directory has these names.
func newFleet(t *testing.T, names ...string) *fleet {
	cluster := testkit.EmbeddedStore(t).Cluster
	return fleetOn(t, func() *couch.Cluster { return cluster }, names...)
}

func fleetOn(t *testing.T, open func() *couch.Cluster, names ...string) *fleet {
	f := &fleet{t: t, open: open, storage: &certmagic.FileStorage{Path: t.TempDir()}, hosts: newHosts(names...), clock: new(clock)}
	f.ca = newAuthority(t, authorityKey, f.clock)
	return f
}

// onStores runs a test on each kind of store.
func onStores(t *testing.T, test func(t *testing.T, open func() *couch.Cluster)) {
	t.Run(testkit.KindEmbedded, func(t *testing.T) {
		t.Parallel()
		cluster := testkit.EmbeddedStore(t).Cluster
		test(t, func() *couch.Cluster { return cluster })
	})
	t.Run(testkit.KindPouchDB, func(t *testing.T) {
		t.Parallel()
		// The database has one name for all tests: records are told apart by their storage.
		test(t, func() *couch.Cluster {
			return testkit.Cluster(t, couch.Config{URLs: []string{testkit.SharedPouchDB(t).URL()}})
		})
	})
}

// settings of a configuration, with changes.
func (f *fleet) settings(changes ...func(*certificates.Settings)) *certificates.Settings {
	s := &certificates.Settings{Storage: f.storage, Issuers: []certmagic.Issuer{f.ca}, DisableOCSPStapling: true, DisableStorageCheck: true}
	for _, change := range changes {
		change(s)
	}
	return s
}

// front is a front door.
type front struct {
	*certificates.Service
	t       *testing.T
	cluster *couch.Cluster
	end     context.CancelFunc
	running sync.WaitGroup
}

// service is a front door that is not at work.
func (f *fleet) service(node string) *front {
	f.t.Helper()
	lease := f.lease
	if lease == 0 {
		lease = 5 * time.Second
	}
	cluster := f.open()
	s := certificates.New(certificates.Options{
		Cluster: cluster, Hosts: f.hosts, Node: node, Now: f.clock.Now, Logger: zap.NewNop(), Lease: lease,
		Ensure: func(ctx context.Context) error {
			_, err := cluster.CreateDB(ctx, provision.TLSDB)
			return err
		},
	})
	return &front{Service: s, t: f.t, cluster: cluster}
}

// front begins to work, until its stop or the end of the test.
func (f *fleet) front(node string, settings *certificates.Settings) *front {
	f.t.Helper()
	d := f.service(node)
	d.Use(settings)
	d.start()
	return d
}

func (d *front) start() {
	ctx, end := context.WithCancel(context.Background())
	d.end = end
	d.running.Go(func() { d.Run(ctx) })
	d.t.Cleanup(d.stop)
}

// stop ends a front door in order.
func (d *front) stop() {
	d.end()
	d.running.Wait()
}

// leader is a front door that leads.
func (f *fleet) leader(settings *certificates.Settings) *front {
	f.t.Helper()
	d := f.front("one", settings)
	f.until("it leads", func() error { return is(d.Leads(), "leading") })
	return d
}

// until waits until check has no error.
func (f *fleet) until(what string, check func() error) {
	f.t.Helper()
	until(f.t, what, check)
}

func until(t testing.TB, what string, check func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var err error
	for begun := time.Now(); time.Since(begun) < 40*time.Second; <-tick.C {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("waiting until %s: %v", what, err)
}

func is(holds bool, what string, values ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf("not "+what, values...)
}

// state waits until the record of a name is in a state, and gives it.
func (d *front) state(name string, want certificates.State) (rec *certificates.Record) {
	d.t.Helper()
	until(d.t, name+" is "+string(want), func() (err error) {
		if rec, err = d.Record(d.t.Context(), name); err != nil {
			return err
		}
		return is(rec.State == want, "so: %s, %q, at %s", rec.State, rec.Error, rec.Next)
	})
	return rec
}

// noRecord waits until a name has no record.
func (d *front) noRecord(name string) {
	d.t.Helper()
	until(d.t, name+" has no record", func() error {
		if _, err := d.Record(d.t.Context(), name); !errors.Is(err, tenancy.ErrNotFound) {
			return fmt.Errorf("there is one (%w)", err)
		}
		return nil
	})
}

// serves is the certificate of a name, which has to be valid for it.
func (d *front) serves(name string) *x509.Certificate {
	d.t.Helper()
	cert, err := d.Certificate(d.t.Context(), name)
	if err != nil {
		d.t.Fatalf("%s: %v", name, err)
	}
	return leafOf(d.t, cert, name)
}

func leafOf(t testing.TB, cert *tls.Certificate, name string) *x509.Certificate {
	t.Helper()
	if err := cert.Leaf.VerifyHostname(name); err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}

// settle waits until the leader has looked at all that it was told of before.
func (f *fleet) settle(d *front) {
	f.t.Helper()
	f.until("the leader has looked", func() error { return is(!d.Busy(), "at rest") })
}

func serial(leaf *x509.Certificate) string { return hex.EncodeToString(leaf.SerialNumber.Bytes()) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// revision is that of a document.
func revision(t testing.TB, raw json.RawMessage) string {
	t.Helper()
	var doc struct {
		Rev string `json:"_rev"`
	}
	must(t, json.Unmarshal(raw, &doc))
	return doc.Rev
}
