// Package lifecycle makes the changes: add, modify and destroy, and the
// questions that the control plane asks of the store.
//
// Several front doors may do so at once, and any of them may be killed at any
// moment. So a change that takes more than one write has an operation in a
// journal, under a lease, before its first effect; a domain is taken by a claim,
// whose id is the domain; every step can be run twice; and whoever meets what a
// dead front door left behind finishes or undoes it.
//
// The order of an add is: operation, claims, databases, the instance's document.
// That of a destroy: operation, the flag, databases, the document, claims. Read
// Add and Destroy for the way of a change.
package lifecycle
