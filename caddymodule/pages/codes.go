// This file holds the codes of refusals: what each one is, its usual status and its mark.

package pages

import "net/http"

// The codes that have a page of their own. Any other text in Refusal.Code is an operator's own reason.
const (
	PaymentFailed  = "PAYMENT_FAILED"  // blocked until the bill is paid
	LoginFailed    = "LOGIN_FAILED"    // blocked after too many failed sign-ins
	Unknown        = "UNKNOWN"         // blocked, nobody said why
	Importing      = "IMPORTING"       // closed while content is brought in
	Moving         = "MOVING"          // closed while content is taken elsewhere
	Deleting       = "DELETING"        // on its way out
	DeletionFailed = "DELETION_FAILED" // a deletion stopped halfway, and what is left stays closed
	NotFound       = "NOT_FOUND"       // no instance has this name
	Quarantined    = "QUARANTINED"     // destroyed, and its name is kept from others for a time
	NotReady       = "NOT_READY"       // this front door does not know its instances yet
	Misdirected    = "MISDIRECTED"     // the connection was made for another instance

	UpstreamFailed  = "UPSTREAM_FAILED"  // the server behind cannot be reached, or its answer is none
	UpstreamTimeout = "UPSTREAM_TIMEOUT" // the server behind has not answered in time
)

// blocked is the message table, and the word for machines that cannot be told
// an operator's own reason. It is not a code: as one, it would be free text.
const blocked = "BLOCKED"

// kind chooses the mark and the tint of a page.
type kind string

const (
	kindPayment  kind = "payment"
	kindBlocked  kind = "blocked"
	kindDeleting kind = "deleting"
	kindUnknown  kind = "unknown"
	kindMoving   kind = "moving"
)

type codeTraits struct {
	status int
	kind   kind
}

var traits = map[string]codeTraits{
	PaymentFailed:  {http.StatusPaymentRequired, kindPayment},
	LoginFailed:    {http.StatusServiceUnavailable, kindBlocked},
	Unknown:        {http.StatusServiceUnavailable, kindBlocked},
	Importing:      {http.StatusServiceUnavailable, kindMoving},
	Moving:         {http.StatusServiceUnavailable, kindMoving},
	Deleting:       {http.StatusGone, kindDeleting},
	DeletionFailed: {http.StatusServiceUnavailable, kindDeleting},
	NotFound:       {http.StatusNotFound, kindUnknown},
	Quarantined:    {http.StatusGone, kindDeleting},
	NotReady:       {http.StatusServiceUnavailable, kindMoving},
	Misdirected:    {http.StatusMisdirectedRequest, kindUnknown},

	UpstreamFailed:  {http.StatusBadGateway, kindMoving},
	UpstreamTimeout: {http.StatusGatewayTimeout, kindMoving},

	blocked: {http.StatusServiceUnavailable, kindBlocked},
}

// codeOrder is the order in which documentation, checks and errors list the codes.
var codeOrder = []string{
	PaymentFailed, LoginFailed, Unknown, Importing, Moving, Deleting, DeletionFailed,
	NotFound, Quarantined, NotReady, Misdirected, UpstreamFailed, UpstreamTimeout,
}

// Codes returns the codes that have a page of their own, in the order of the documentation.
// The slice is the caller's.
func Codes() []string {
	return append([]string(nil), codeOrder...)
}

// known tells whether code has a page of its own; everything else is free text.
func known(code string) bool {
	_, ok := traits[code]
	return ok && code != blocked
}

// tableOf gives the message table of a code.
func tableOf(code string) string {
	if known(code) {
		return code
	}
	return blocked
}
