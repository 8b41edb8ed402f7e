// Package comment: what an owner's passphrase becomes, and where to begin to read.

// Package passphrase makes what an instance stores of its owner's passphrase:
// the hash, a new session secret, and the key material of the owner's vault in
// `io.cozy.settings.bitwarden`, byte for byte as a cozy-stack and its clients
// read them (the contract, section 4). It decides and does not store.
//
// To follow one passphrase, read New, then Input.derive and newKeys.
//
// New costs some hundred milliseconds of one core and 32 MiB while scrypt runs;
// how many run at a time is the caller's to bound.
package passphrase
