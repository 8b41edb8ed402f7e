// Sequences: "n-opaque", whose opaque part names the database, so that a sequence
// of a database that was destroyed and made again is known as a stranger.

package embedded

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// sequence gives the form of the API.
func (d *database) sequence(n uint64) string {
	return strconv.FormatUint(n, 10) + "-" + d.opaque()
}

func (d *database) opaque() string {
	return base64.RawURLEncoding.EncodeToString(d.counters.uuid[:])
}

// since places a reader in the feed. A sequence of another database, or one ahead
// of this one (the file came back from a backup), begins at 0, as CouchDB does
// where it does not know a shard; text that no sequence looks like is a 400.
func (d *database) since(s string) (uint64, error) {
	switch s {
	case "", "0":
		return 0, nil
	case "now":
		return d.counters.seq, nil
	}
	number, opaque, ok := strings.Cut(strings.Trim(s, `"`), "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || opaque == "" || strings.ContainsFunc(opaque, notBase64) {
		return 0, badRequest("Malformed sequence supplied in 'since' parameter.")
	}
	if opaque != d.opaque() || n > d.counters.seq {
		return 0, nil
	}
	return n, nil
}

// notBase64 finds what neither this store nor CouchDB puts into a sequence.
func notBase64(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '=':
		return false
	}
	return true
}
