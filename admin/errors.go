// Errors: the one table from errors to answers, as JSON:API has them.

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// jsonAPI is the media type of most answers. https://jsonapi.org/format/
const jsonAPI = "application/vnd.api+json"

// apiError is an answer that says what is wrong.
type apiError struct {
	status        int
	title, detail string
	parameter     string // the one that is bad; may be empty
	retryAfter    string // seconds; may be empty
}

func (e *apiError) Error() string { return e.detail }

var (
	errNoApp = &apiError{
		status: http.StatusServiceUnavailable, title: "Service Unavailable",
		detail: "the running configuration has no tenancy app",
	}
	errUnauthorized = &apiError{
		status: http.StatusUnauthorized, title: "Unauthorized",
		detail: "the administrator's passphrase, or a token, is missing or wrong",
	}
)

// errorObject is one error of JSON:API.
type errorObject struct {
	Status string            `json:"status"`
	Title  string            `json:"title"`
	Detail string            `json:"detail"`
	Source map[string]string `json:"source"`
}

type errorDocument struct {
	Errors []errorObject `json:"errors"`
}

// describe is the table.
func describe(err error) *apiError {
	var api *apiError
	if errors.As(err, &api) {
		return api
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &apiError{status: http.StatusRequestEntityTooLarge, title: "Content Too Large", detail: "the body is larger than 1 MiB"}
	}
	var field *tenancy.FieldError
	isField := errors.As(err, &field)
	switch {
	case isField && errors.Is(err, tenancy.ErrIllegalDomain):
		return &apiError{
			status: http.StatusUnprocessableEntity, title: "Invalid Parameter",
			detail: tenancy.ErrIllegalDomain.Error() + ": " + field.Problem, parameter: field.Field,
		}
	case isField && errors.Is(err, lifecycle.ErrBadTOS):
		return &apiError{status: http.StatusBadRequest, title: "Bad Request", detail: field.Problem, parameter: field.Field}
	case isField:
		return &apiError{status: http.StatusBadRequest, title: "Bad Request", detail: field.Error(), parameter: field.Field}
	case errors.Is(err, tenancy.ErrNotFound):
		return &apiError{status: http.StatusNotFound, title: "Not Found", detail: err.Error()}
	case errors.Is(err, tenancy.ErrExists), errors.Is(err, tenancy.ErrConflict), errors.Is(err, couch.ErrConflict):
		return &apiError{status: http.StatusConflict, title: "Conflict", detail: err.Error()}
	case errors.Is(err, certificates.ErrInactive): // since a moment ago
		return errNoCertificates
	case errors.Is(err, errors.ErrUnsupported):
		return &apiError{status: http.StatusNotImplemented, title: "Not Implemented", detail: "this is not offered yet"}
	case errors.Is(err, tenancy.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		detail := "this was not done, or only in part; it can be tried again: " + err.Error()
		if !tenancy.OwnWords(err) { // which tell of the store alone, or of something else
			detail = "the store does not answer, so " + detail
		}
		return &apiError{status: http.StatusServiceUnavailable, title: "Service Unavailable", detail: detail}
	default:
		return &apiError{status: http.StatusInternalServerError, title: "Internal Server Error", detail: err.Error()}
	}
}

// fail writes an error. Nothing may have been written before.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := describe(err)
	// That there is no app is seen by whoever asks while a configuration starts. The
	// query is left out, since it may hold a passphrase.
	if e.status >= 500 && e.status != http.StatusNotImplemented && e != errNoApp {
		h.log.Error("answering a request of the instances API",
			zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Int("status", e.status), zap.Error(err))
	}
	switch {
	case e.retryAfter != "":
		w.Header().Set("Retry-After", e.retryAfter)
	case e.status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	case e.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="instances", charset="UTF-8"`)
	}
	w.Header().Set("Content-Type", jsonAPI)
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(e.document()) // a client that has gone is no concern
}

func (e *apiError) document() errorDocument {
	source := map[string]string{}
	if e.parameter != "" {
		source["parameter"] = e.parameter
	}
	return errorDocument{Errors: []errorObject{{
		Status: strconv.Itoa(e.status), Title: e.title, Detail: e.detail, Source: source,
	}}}
}
