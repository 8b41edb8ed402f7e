// Caddyfile: `store` and `cluster`.

package caddymodule

import (
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func parseStore(d *caddyfile.Dispenser) (*Store, error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil, d.ArgErr()
	}
	store := &Store{Driver: args[0]}
	switch store.Driver {
	case DriverEmbedded:
		if len(args) != 2 {
			return nil, d.Err("store embedded has one argument, its folder")
		}
		store.Path = args[1]
		return store, nil
	case DriverCouchDB:
		if len(args) < 2 {
			return nil, d.Err("store couchdb has the URLs of the cluster's nodes as arguments")
		}
		store.URLs = args[1:]
		return store, store.unmarshalBlock(d)
	default:
		return nil, d.Errf("store '%s' is not known (allowed: embedded, couchdb)", store.Driver)
	}
}

const clusterSyntax = "cluster has an index, then the URLs of its nodes (none for 0, the store itself), then perhaps `closed`"

func parseCluster(d *caddyfile.Dispenser) (Cluster, error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return Cluster{}, d.Err(clusterSyntax)
	}
	index, err := strconv.Atoi(args[0])
	if err != nil || index < 0 {
		return Cluster{}, d.Errf("cluster '%s': the index is a number from 0 on", args[0])
	}
	c := Cluster{Index: index}
	if c.URLs = args[1:]; len(c.URLs) == 0 {
		c.URLs = nil
	}
	if slices.Contains(c.URLs, "closed") {
		if c.URLs[len(c.URLs)-1] != "closed" {
			return Cluster{}, d.Err("`closed` stands at the end of the line")
		}
		c.Closed, c.URLs = true, c.URLs[:len(c.URLs)-1]
	}
	if index > 0 && len(c.URLs) == 0 {
		return Cluster{}, d.Err(clusterSyntax)
	}
	options := 0
	for nesting := d.Nesting(); d.NextBlock(nesting); options++ {
		if err := c.unmarshalOption(d); err != nil {
			return Cluster{}, err
		}
	}
	if index == 0 && len(args) == 1 && options == 0 {
		return Cluster{}, d.Err("cluster 0 is the store itself, and is there without a line; a line says `closed`, or has a block with upstream or capacity")
	}
	return c, nil
}

func (c *Cluster) unmarshalOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "username":
		return single(d, &c.Username)
	case "password":
		return single(d, &c.Password)
	case "shards":
		return count(d, &c.Shards)
	case "upstream":
		return several(d, &c.Upstreams)
	case "capacity":
		var text string
		if c.Capacity != 0 {
			return d.Err("capacity is given twice")
		}
		if !d.AllArgs(&text) {
			return d.ArgErr()
		}
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return d.Errf("capacity '%s' is not a number of instances from 1 on", text)
		}
		c.Capacity = n
		return nil
	default:
		return d.Errf("unrecognized option '%s' (allowed: username, password, shards, upstream, capacity)", option)
	}
}

func (c *Connection) unmarshalBlock(d *caddyfile.Dispenser) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "username":
			err = single(d, &c.Username)
		case "password":
			err = single(d, &c.Password)
		case "shards":
			err = count(d, &c.Shards)
		default:
			err = d.Errf("unrecognized option '%s' (allowed: username, password, shards)", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
