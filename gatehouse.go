// Package gatehouse is the whole front door as Caddy modules: importing it
// for its side effects registers the tenancy app, its HTTP handler and TLS
// permission, the instances API and the instances command.
//
//	xcaddy build --with github.com/gatehouse-edge/gatehouse
package gatehouse
