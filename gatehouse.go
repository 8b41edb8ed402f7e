// Package gatehouse is the whole front door as Caddy modules: importing it
// for its side effects registers the tenancy app, its handler and TLS
// permission, the instances API and the instances command.
//
//	xcaddy build --with github.com/gatehouse-edge/gatehouse
package gatehouse

import (
	"github.com/gatehouse-edge/gatehouse/admin"
	"github.com/gatehouse-edge/gatehouse/caddymodule"
)

// Interface guard: the API finds the app by this interface alone.
var _ admin.App = (*caddymodule.App)(nil)
