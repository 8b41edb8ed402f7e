// This file holds the refusal of gRPC calls.

package pages

import (
	"net/http"
	"strconv"
	"strings"
)

// Status codes of gRPC, from its document statuscodes.md.
const (
	grpcUnknown            = 2
	grpcNotFound           = 5
	grpcPermissionDenied   = 7
	grpcResourceExhausted  = 8
	grpcFailedPrecondition = 9
	grpcUnavailable        = 14
	grpcUnauthenticated    = 16
)

// grpcContentType gives the content type in which to answer a gRPC call, or "" where r is none.
// It comes from a fixed list, never from the request.
func grpcContentType(r *http.Request) string {
	contentType := strings.ToLower(r.Header.Get("Content-Type"))
	if !strings.HasPrefix(contentType, "application/grpc") {
		return ""
	}
	contentType, _, _ = strings.Cut(contentType, ";")
	contentType, _, _ = strings.Cut(strings.TrimSpace(contentType), "+")
	switch contentType {
	case "application/grpc", "application/grpc-web", "application/grpc-web-text":
		return contentType
	}
	return ""
}

// writeGRPC sends a trailers-only response: status 200, the gRPC status among
// the headers, no body (PROTOCOL-HTTP2.md, Responses).
func writeGRPC(w http.ResponseWriter, contentType string, f Refusal, t *texts) {
	message := t.messages[tableOf(f.Code)].Title
	if known(f.Code) {
		// An operator's own reason stays out: no header carries foreign text.
		message = f.Code + ": " + message
	}
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", contentType)
	h.Set("Grpc-Status", strconv.Itoa(grpcStatus(f.Status)))
	h.Set("Grpc-Message", percentEncode(message))
	w.WriteHeader(http.StatusOK)
}

// grpcStatus differs from gRPC's own table for foreign HTTP statuses, which
// would make UNIMPLEMENTED of a 404: this answer does come from what serves the name.
func grpcStatus(status int) int {
	switch status {
	case http.StatusPaymentRequired, http.StatusForbidden:
		return grpcPermissionDenied
	case http.StatusNotFound, http.StatusGone:
		return grpcNotFound
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusTooManyRequests:
		return grpcResourceExhausted
	case http.StatusMisdirectedRequest, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return grpcUnavailable
	}
	if status < 500 {
		return grpcFailedPrecondition
	}
	return grpcUnknown
}

// percentEncode is the Percent-Encoded form of a grpc-message: printable ASCII without %.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == '%' {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
