// Revisions: CouchDB's order of them, and the leading number of a sequence.

package directory

import (
	"cmp"
	"strings"
)

// compareRevs orders two revisions as CouchDB does among live ones: by
// generation, then by the hash. What has no generation counts as 0.
// https://docs.couchdb.org/en/stable/replication/conflicts.html
func compareRevs(a, b string) int {
	na, ha := splitNumber(a)
	nb, hb := splitNumber(b)
	return cmp.Or(cmp.Compare(na, nb), strings.Compare(ha, hb))
}

// splitNumber cuts "12-abc" in two: of a revision the generation and the hash,
// of a sequence the number that people see and the opaque rest.
func splitNumber(s string) (n uint64, rest string) {
	digits, rest, _ := strings.Cut(s, "-")
	if digits == "" || len(digits) > 18 { // 18 digits always fit
		return 0, s
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, s
		}
		n = n*10 + uint64(c-'0')
	}
	return n, rest
}

// seqNumber is the number of a sequence; 0 where it has none.
func seqNumber(seq string) uint64 {
	n, _ := splitNumber(seq)
	return n
}

// shortSeq is a sequence for people: of the opaque rest only that there is one.
func shortSeq(seq string) string {
	digits, rest, _ := strings.Cut(seq, "-")
	if rest == "" {
		return digits
	}
	return digits + "-…"
}
