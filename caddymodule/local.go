// Local: this node's directory, as lifecycle sees it.

package caddymodule

import (
	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// localDirectory is this node's directory, in which its own changes are told from
// those of others.
type localDirectory struct {
	directory.Local
	adoption *adoption // nil where no stack can be at the store
}

func (l localDirectory) Apply(inst *tenancy.Instance) (changed bool) {
	if l.adoption != nil {
		defer l.adoption.own(inst.ID())()
	}
	return l.Local.Apply(inst)
}

// Interface guard
var _ lifecycle.Directory = localDirectory{}
