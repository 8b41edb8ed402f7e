// Package hooks tells an operator's servers of changes, by HTTP and signed as
// the Standard Webhooks specification says
// (https://github.com/standard-webhooks/standard-webhooks).
//
// To follow an event, read Hooks.Deliver, then Hooks.send.
package hooks
