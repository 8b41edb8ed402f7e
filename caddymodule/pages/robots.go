// This file holds the answer to /robots.txt of an instance that is refused.

package pages

import (
	"net/http"
	"strconv"
)

const robots = "User-agent: *\nDisallow: /\n"

// WriteRobots answers 200 with a robots.txt that keeps every crawler out, so
// that a refused instance isn't indexed as an error. The caller has seen that
// r asks for /robots.txt; a method other than GET and HEAD gets 405.
// The error is that of the connection. Safe for concurrent use.
func (s *Set) WriteRobots(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(robots)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write([]byte(robots))
	return err
}
