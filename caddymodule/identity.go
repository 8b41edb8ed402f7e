// Identity: the request headers that say which instance was found.

package caddymodule

import "net/http"

// identity is how they begin.
const identity = "x-gatehouse-"

// stripIdentity removes what a client may have set to look like us. Servers
// behind FastCGI and its like take `_` and `.` for `-`.
func stripIdentity(header http.Header) {
	for name := range header {
		if len(name) >= len(identity) && isIdentity(name) {
			delete(header, name)
		}
	}
}

func isIdentity(name string) bool {
	for i := range len(identity) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_' || c == '.':
			c = '-'
		}
		if c != identity[i] {
			return false
		}
	}
	return true
}
