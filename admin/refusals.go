// Refusals: routes that there are for saying no.

package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy/access"
)

func notAllowed(methods []string) serveFunc {
	slices.Sort(methods)
	list := strings.Join(methods, ", ")
	return func(_ App, w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", list)
		return &apiError{status: http.StatusMethodNotAllowed, title: "Method Not Allowed", detail: "allowed here: " + list}
	}
}

// notOffered answers what a cozy-stack's API has and this one has not.
func notOffered(_ App, _ http.ResponseWriter, r *http.Request) error {
	what := r.PathValue("rest")
	if what == "" {
		what = strings.TrimPrefix(r.URL.Path, "/instances/")
	}
	return &apiError{
		status: http.StatusNotImplemented, title: "Not Implemented",
		detail: what + " is not offered by this front door; ask the stack behind it",
	}
}

func notThere(App, http.ResponseWriter, *http.Request) error {
	return &apiError{status: http.StatusNotFound, title: "Not Found", detail: "there is no such route"}
}

// forbidden says what a token may not do.
func forbidden(role access.Role, why string) error {
	return &apiError{
		status: http.StatusForbidden, title: "Forbidden",
		detail: "the token's role is " + string(role) + ", and " + why,
	}
}
