// Options: what a Store is made of, and its limits.

package certstore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// DefaultDatabase is where certificates are.
const DefaultDatabase = "gatehouse/certificates"

// Limits of what is stored, in bytes.
const (
	MaxValue = 16 << 20 // of a value
	MaxKey   = 1024     // of a key, and of a lock's name

	maxInline = 16 << 10  // of a value within its document: so a page of a list is 22 MB at most
	chunkSize = 256 << 10 // of a chunk before it is sealed
	perBulk   = 16        // chunks in one request, some 5.6 MB
)

// Defaults of Options, and the longest lease.
const (
	DefaultLease        = 30 * time.Second
	MinLease            = 5 * time.Second
	MaxLease            = 15 * time.Minute
	DefaultCacheEntries = 200_000
	DefaultCacheBytes   = 1 << 30
)

// Options of a Store.
type Options struct {
	Cluster  *couch.Cluster // stays open when the Store is closed
	Database string         // default DefaultDatabase
	Ring     *Ring          // the encryption keys; required
	Logger   *zap.Logger
	Now      func() time.Time // default time.Now; its differences have to be monotonic
	Rand     io.Reader        // default crypto/rand.Reader; read by one goroutine at a time

	// Node names this process in the documents of its locks, for people. Default:
	// the host's name and the process id.
	Node string
	// Lease is how long a lock outlives its holder. Default DefaultLease; tests take
	// less than MinLease.
	Lease time.Duration
	// Reseal makes a Store that has older keys seal anew, in the background, what
	// those have sealed.
	Reseal bool

	// Cache is the folder of the local copy; empty for none.
	Cache string
	// Bounds of the cache; what was not used for longest goes first.
	CacheEntries int
	CacheBytes   int64

	Times Times
}

// Times are the intervals of a Store; zero for the defaults.
type Times struct {
	Poll      time.Duration // between two looks at a lock that others hold, give or take a quarter; 1 s
	Read      time.Duration // for one request that reads; 10 s
	Cached    time.Duration // for one that reads what the cache has too; 2 s
	Write     time.Duration // for Store and Delete, with all their attempts; 15 s
	WriteDown time.Duration // for one that begins while the store does not answer; 5 s
	Lock      time.Duration // for one attempt at a lock, a renewal or a release; 5 s
	Down      time.Duration // that reads stay away from a store that has failed; 5 s
	Sweep     time.Duration // between two sweeps, and the least age of what they remove; 1 h
	Settle    time.Duration // that keys are in use before what older ones have sealed is sealed anew: a configuration may be taken back; 1 min
	Retry     time.Duration // until re-sealing that failed is tried again; 1 min
}

func (t *Times) setDefaults() {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&t.Poll, time.Second}, {&t.Read, 10 * time.Second}, {&t.Cached, 2 * time.Second},
		{&t.Write, 15 * time.Second}, {&t.WriteDown, 5 * time.Second}, {&t.Lock, 5 * time.Second},
		{&t.Down, 5 * time.Second}, {&t.Sweep, time.Hour}, {&t.Settle, time.Minute}, {&t.Retry, time.Minute},
	} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
}

func (o *Options) setDefaults() error {
	if o.Cluster == nil {
		return errors.New("certstore: no cluster")
	}
	if o.Ring == nil {
		return ErrNoKey
	}
	if o.Database == "" {
		o.Database = DefaultDatabase
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Node == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		o.Node = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	if o.Lease > MaxLease {
		return fmt.Errorf("certstore: a lease of %s is longer than %s", o.Lease, MaxLease)
	}
	if o.CacheEntries <= 0 {
		o.CacheEntries = DefaultCacheEntries
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	o.Times.setDefaults()
	return nil
}
