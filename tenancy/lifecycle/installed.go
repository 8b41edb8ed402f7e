// Installed: whether an instance has an app, for who orders certificates.

package lifecycle

import (
	"context"
	"errors"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// appsType are the apps that have a host, as drive.alice.example.com. The connectors of
// io.cozy.konnectors have none: they run as jobs, and show nothing. A stack has no hosts
// below that of an instance but those of apps that are installed.
const appsType = "io.cozy.apps"

// Installed tells whether the instance with a document id has an app, in whatever state:
// one that is being brought up to date has its host all the while. Nobody's app is
// installed in no instance. It asks the store twice; the error of one that does not answer
// is a tenancy.ErrUnavailable.
func (s *Service) Installed(ctx context.Context, instanceID, slug string) (bool, error) {
	inst, err := s.byID(ctx, instanceID)
	if errors.Is(err, couch.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	db, err := s.of(inst)
	if err != nil {
		return false, err
	}
	_, err = db.Get(ctx, provision.DatabaseName(inst.Prefix(), appsType), appsType+"/"+slug)
	if errors.Is(err, couch.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
