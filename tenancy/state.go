// State and Reason: what an instance does at present, and why it does not serve.

package tenancy

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// State is what a visitor of an instance meets.
type State uint8

// The states of an instance. Deleting wins over Blocked.
const (
	Active State = iota
	Blocked
	Deleting
)

// String is the state's name, as in placeholders and in JSON.
func (s State) String() string {
	switch s {
	case Blocked:
		return "blocked"
	case Deleting:
		return "deleting"
	default:
		return "active"
	}
}

// Reason says why an instance is blocked: one of the codes, or any text of an
// operator's.
type Reason string

// The codes of the contract, and our own for a deletion that failed.
const (
	ReasonLoginFailed    Reason = "LOGIN_FAILED"
	ReasonPaymentFailed  Reason = "PAYMENT_FAILED"
	ReasonUnknown        Reason = "UNKNOWN"
	ReasonImporting      Reason = "IMPORTING"
	ReasonMoving         Reason = "MOVING"
	ReasonDeletionFailed Reason = "DELETION_FAILED"
)

// Codes of refusals that are not a block.
const (
	CodeDeleting    = "DELETING"
	CodeNotFound    = "NOT_FOUND"
	CodeQuarantined = "QUARANTINED"
	CodeNotReady    = "NOT_READY"
)

// MaxReasonLength bounds a reason, in characters.
const MaxReasonLength = 200

// ParseReason reads a reason as an operator gives it: at most MaxReasonLength
// characters, in one line. The error is a *FieldError.
func ParseReason(field, s string) (Reason, error) {
	s = strings.TrimSpace(s)
	allowed := fmt.Sprintf("LOGIN_FAILED, PAYMENT_FAILED, UNKNOWN, IMPORTING, MOVING, or a line of at most %d characters", MaxReasonLength)
	if !utf8.ValidString(s) {
		return "", &FieldError{Field: field, Problem: "is not UTF-8", Allowed: allowed}
	}
	if utf8.RuneCountInString(s) > MaxReasonLength {
		return "", &FieldError{Field: field, Problem: "is too long", Allowed: allowed}
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "", &FieldError{Field: field, Problem: "holds a control character", Allowed: allowed}
	}
	return Reason(s), nil
}
