// Abandoned: whether a name is nobody's, for who is about to remove what it had.

package lifecycle

import (
	"context"
	"errors"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
)

// Abandoned tells whether nobody has, claims or keeps in quarantine any of these normal
// forms, of which the instance with a document id was the last to have one. It asks the
// store, three requests at most: a directory that has not got the store's records yet,
// or of which they are lost, knows of nobody.
func (s *Service) Abandoned(ctx context.Context, instance string, keys ...string) (bool, error) {
	claims, quarantines, err := s.claimsAndQuarantines(ctx, keys)
	if err != nil || len(claims) > 0 {
		return false, err
	}
	for _, q := range quarantines {
		if s.now().Before(q.Until) {
			return false, nil
		}
	}
	inst, err := s.byID(ctx, instance)
	if err != nil && !errors.Is(err, couch.ErrNotFound) {
		return false, err
	}
	if err == nil && hasHost(inst, keys) {
		return false, nil
	}
	found, err := s.byNames(ctx, keys)
	return err == nil && len(found) == 0, err
}

// hasHost tells whether an instance has one of the hosts, under any port: which port is
// looked for is the configuration's, and may have changed.
func hasHost(inst *tenancy.Instance, keys []string) bool {
	for _, name := range append(inst.Names(), inst.OldDomain()) {
		has, ok := tenancy.HostKey(name)
		for _, key := range keys {
			if ok && hostOf(has) == hostOf(key) {
				return true
			}
		}
	}
	return false
}

// hostOf is a normal form without its port.
func hostOf(key string) string {
	host, _, _ := strings.Cut(key, ":")
	return host
}
