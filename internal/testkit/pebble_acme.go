// ACME: Pebble's endpoints, and what a function of Fail needs to tell requests apart
// and to answer them.

package testkit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// Endpoint is a kind of request to the CA: the first part of its path.
type Endpoint string

// Endpoints of the CA. Their paths are Pebble's, which has odd ones so that nobody
// builds on them. A client may keep what the directory says from an earlier test.
const (
	ACMEDirectory   Endpoint = "dir"
	ACMENewNonce    Endpoint = "nonce-plz"
	ACMENewAccount  Endpoint = "sign-me-up"
	ACMEAccount     Endpoint = "my-account"
	ACMEKeyChange   Endpoint = "rollover-account-key"
	ACMENewOrder    Endpoint = "order-plz"
	ACMEOrder       Endpoint = "my-order" // asking for its state
	ACMEAuthz       Endpoint = "authZ"
	ACMEChallenge   Endpoint = "chalZ"
	ACMEFinalize    Endpoint = "finalize-order"
	ACMECertificate Endpoint = "certZ"
	ACMERevoke      Endpoint = "revoke-cert"
	ACMERenewalInfo Endpoint = "draft-ietf-acme-ari-03"
)

// EndpointOf is the endpoint of a request that a function of Fail looks at.
func EndpointOf(req *http.Request) Endpoint {
	first, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	return Endpoint(first)
}

// ACMEProblem is an answer of a CA that refuses: an HTTP status, and an error of
// RFC 8555, section 6.7, as "unauthorized".
func ACMEProblem(status int, kind, detail string) *http.Response {
	body, _ := json.Marshal(map[string]any{ // of strings and a number it never fails
		"type": "urn:ietf:params:acme:error:" + kind, "detail": detail, "status": status,
	})
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {"application/problem+json"}},
		Body:       io.NopCloser(bytes.NewReader(body)),
	}
}

// ACMERateLimited is an answer of a CA that was asked too often; after is in whole
// seconds, and without Retry-After where it is 0.
func ACMERateLimited(after time.Duration) *http.Response {
	resp := ACMEProblem(http.StatusTooManyRequests, "rateLimited", "too many of these")
	if after > 0 {
		resp.Header.Set("Retry-After", seconds(after))
	}
	return resp
}

// ACMEPayload is what a client has signed (RFC 8555, section 6.2), as the JSON of a
// new order with its names; nil where the request has none.
func ACMEPayload(req *http.Request) []byte {
	body, err := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body)) // for whoever reads it next
	var signed struct {
		Payload string `json:"payload"`
	}
	if err != nil || json.Unmarshal(body, &signed) != nil {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err != nil || len(payload) == 0 {
		return nil
	}
	return payload
}
