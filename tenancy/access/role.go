// Role: what a token may do.

package access

import "github.com/gatehouse-edge/gatehouse/tenancy"

// Role is what a token may do. Each role may do what the ones before it may.
type Role string

// The roles.
const (
	Read  Role = "read"  // look at instances, and at how a front door is
	Block Role = "block" // and block and unblock instances
	Admin Role = "admin" // and everything else, tokens included
)

var ranks = map[Role]int{Read: 1, Block: 2, Admin: 3}

// ParseRole reads a role's name. The error is a *tenancy.FieldError.
func ParseRole(field, s string) (Role, error) {
	if ranks[Role(s)] == 0 {
		return "", &tenancy.FieldError{Field: field, Problem: "is not a role", Allowed: "read, block, admin"}
	}
	return Role(s), nil
}

// May tells whether r may do what needs the other role. An unknown role may
// nothing, and what needs an unknown role nobody may.
func (r Role) May(need Role) bool {
	return ranks[r] > 0 && ranks[need] > 0 && ranks[r] >= ranks[need]
}
