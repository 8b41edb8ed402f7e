// Pass hosts: hosts that belong to no instance, and are the upstream's.

package caddymodule

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// passHosts are hosts in normal form: whole ones, and what stands behind the
// first label of those that begin with `*.`.
type passHosts struct {
	whole, behind map[string]bool
}

// maxPassHosts bounds the list.
const maxPassHosts = 1000

// parsePassHosts reads hosts as a configuration has them: login.example.com, or
// *.idp.example.com for one label more. A port limits a host to that port. The
// error is a *tenancy.FieldError, or tells of one that is given twice.
func parsePassHosts(list []string) (passHosts, error) {
	if len(list) > maxPassHosts {
		return passHosts{}, fmt.Errorf("pass_hosts: are more than %d", maxPassHosts)
	}
	p := passHosts{whole: map[string]bool{}, behind: map[string]bool{}}
	repl := caddy.NewReplacer()
	for _, s := range list {
		s = repl.ReplaceAll(s, "")
		name, wildcard := strings.CutPrefix(s, "*.")
		domain, err := tenancy.ParseDomainField("pass_hosts", name)
		if err != nil {
			return passHosts{}, fmt.Errorf("%q: %w", s, err)
		}
		into := p.whole
		if wildcard {
			into = p.behind
		}
		if into[domain.Key()] {
			return passHosts{}, fmt.Errorf("pass_hosts: %s is given twice", s)
		}
		into[domain.Key()] = true
	}
	return p, nil
}

// has tells whether a request's Host is one of them. It allocates nothing for an
// ASCII host.
func (p *passHosts) has(host string) bool {
	if len(p.whole) == 0 && len(p.behind) == 0 {
		return false
	}
	var room [tenancy.MaxHostLength]byte
	key, name, ok := tenancy.AppendHost(room[:0], host)
	if !ok {
		return false
	}
	if p.whole[string(key)] || p.whole[string(key[:name])] {
		return true
	}
	dot := bytes.IndexByte(key[:name], '.')
	return dot > 0 && (p.behind[string(key[dot+1:])] || p.behind[string(key[dot+1:name])])
}
