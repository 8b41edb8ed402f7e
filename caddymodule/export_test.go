// What the tests reach past the package's door.

package caddymodule

import "github.com/gatehouse-edge/gatehouse/tenancy/couch"

// StoreOf is the store of an app.
func StoreOf(a *App) *couch.Cluster { return a.runtime.clusters.Main() }
