// Package certificates obtains, keeps, renews and removes the certificates of
// instances: ready before the first visit, renewed without one, gone with the
// instance.
//
// Of the front doors that share a certificate storage one at a time leads: it alone
// orders, renews and removes, paced by the budgets of the authority. What it knows of
// each name is a Record, a document beside the instances. Every front door keeps in
// memory what is asked for, loads it from the storage at its first use, and hears by the
// feed of the records when it has been renewed.
//
// ACME itself, with its challenges, is certmagic's, and the issuers are handed in.
package certificates
