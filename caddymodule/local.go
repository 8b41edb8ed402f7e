// Local: this node's directory, as lifecycle sees it.

package caddymodule

import (
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// localDirectory is this node's directory, as lifecycle sees it.
type localDirectory struct{ rt *runtime }

func (l localDirectory) Apply(inst *tenancy.Instance) {
	if l.rt.adoption != nil {
		defer l.rt.adoption.own(inst.ID())()
	}
	l.rt.dir.Apply(inst)
}

func (l localDirectory) Remove(id, rev string) { l.rt.dir.Remove(id, rev) }

func (l localDirectory) WithPrefix(prefix string) []string { return l.rt.dir.WithPrefix(prefix) }

func (l localDirectory) Len() int     { return l.rt.dir.Len() }
func (l localDirectory) Loaded() bool { return l.rt.dir.Loaded() }

func (l localDirectory) Quarantine(key string, until time.Time) { l.rt.dir.Quarantine(key, until) }

func (l localDirectory) Find(key string) (string, bool) {
	// Without app hosts: a change names an instance itself.
	m, ok := l.rt.dir.Resolve(key, directory.Off)
	if !ok || m.By == directory.ByOldDomain {
		return "", false
	}
	return m.Entry.ID, true
}

func (l localDirectory) Ambiguous(d tenancy.Domain) (string, bool) {
	a, ambiguous := l.rt.dir.Ambiguous(d.Key(), directory.Mode(l.rt.mode.Load()))
	if !ambiguous {
		return "", false
	}
	return a.Entry.Domain, true
}

// Interface guard
var _ lifecycle.Directory = localDirectory{}
