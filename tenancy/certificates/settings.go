// Settings: how certificates are obtained, as a configuration says.

package certificates

import (
	"reflect"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Settings are what a configuration says. They do not change once they are in use.
type Settings struct {
	// Storage is where certificates, keys and accounts are, for all that share it.
	Storage certmagic.Storage
	// Issuers are asked in this order.
	Issuers []certmagic.Issuer
	// Bind, if there is one, hands the issuers the configuration that they issue for,
	// before they are asked: caddytls.ConfigSetter.
	Bind func(*certmagic.Config)
	// Public says that an issuer is one that everybody trusts, which refuses names
	// that are not public.
	Public bool

	KeyType             certmagic.KeyType // empty for certmagic's default
	RenewalWindowRatio  float64           // 0 for certmagic's default, a third
	ReusePrivateKeys    bool
	MustStaple          bool
	DisableOCSPStapling bool
	DisableStorageCheck bool

	// Wildcards are names as *.example.com that have a certificate elsewhere.
	Wildcards []string
	// Capacity is how many certificates are kept in memory; 0 for DefaultCapacity.
	Capacity int
	// Parallel is how many orders are under way at a time; 0 for DefaultParallel.
	Parallel int
	// Limits pace the orders.
	Limits Limits
	// Proof is asked for before an order; nil for none.
	Proof *Proof
	// Revoke says that the certificates of what is gone are revoked, not just removed.
	Revoke bool

	Logger *zap.Logger
}

// parallel is how many orders are under way at a time.
func (s *Settings) parallel() int {
	if s.Parallel <= 0 {
		return DefaultParallel
	}
	return s.Parallel
}

// goesOn tells whether a leader's term can go on with other settings, after a reload of
// the configuration: with the storage and the issuers of these.
func (s *Settings) goesOn(next *Settings) bool {
	return next != nil && oneStorage(s.Storage, next.Storage) && sameIssuers(s.Issuers, next.Issuers) && s.parallel() == next.parallel()
}

// oneStorage tells whether what one storage is in the middle of can be ended with it when
// the other has taken its place: a storage of the same name may have been closed.
func oneStorage(a, b certmagic.Storage) bool {
	if reflect.TypeOf(a).Comparable() && a == b {
		return true
	}
	first, ok := a.(*certmagic.FileStorage) // which has nothing to close
	second, both := b.(*certmagic.FileStorage)
	return ok && both && first.Path == second.Path
}

// Defaults of Settings.
const (
	// DefaultCapacity is about 200 MB of certificates.
	DefaultCapacity = 20_000
	DefaultParallel = 8
)

// orderTime bounds one order, challenges and all; certmagic's own limit is the same.
const orderTime = 3 * time.Minute
