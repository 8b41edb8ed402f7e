// Caddyfile: the global option `storage couchdb`.

package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

const storageSyntax = "storage couchdb has the URLs of the cluster's nodes as arguments, or `embedded` and its folder"

// UnmarshalCaddyfile reads the storage option:
//
//	storage couchdb <urls...>|embedded <folder> {
//		username <name>
//		password <placeholder>
//		encryption_key <placeholder>
//		old_encryption_key <placeholder>
//		cache <folder>|off
//		lease <time>
//	}
//
// old_encryption_key may be given more than once.
func (s *Storage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // module name
	args := d.RemainingArgs()
	switch {
	case len(args) == 0:
		return d.Err(storageSyntax)
	case args[0] == DriverEmbedded && len(args) != 2:
		return d.Err("storage couchdb embedded has one more argument, its folder")
	case args[0] == DriverEmbedded:
		s.Driver, s.Path = DriverEmbedded, args[1]
	default:
		s.Driver, s.URLs = DriverCouchDB, args
	}
	for d.NextBlock(0) {
		if err := s.unmarshalOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Storage) unmarshalOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "username":
		return single(d, &s.Username)
	case "password":
		return single(d, &s.Password)
	case "encryption_key":
		return single(d, &s.EncryptionKey)
	case "old_encryption_key":
		var old string
		if err := single(d, &old); err != nil {
			return err
		}
		s.OldEncryptionKeys = append(s.OldEncryptionKeys, old)
		return nil
	case "cache":
		return single(d, &s.Cache)
	case "lease":
		var text string
		if s.Lease != 0 {
			return d.Err("lease is given twice")
		}
		if err := single(d, &text); err != nil {
			return err
		}
		lease, err := caddy.ParseDuration(text)
		if err != nil || lease <= 0 {
			return d.Errf("lease '%s' is not a time, as in 30s", text)
		}
		s.Lease = caddy.Duration(lease)
		return nil
	default:
		return d.Errf("unrecognized option '%s' (allowed: username, password, encryption_key, old_encryption_key, cache, lease)", option)
	}
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Storage)(nil)
