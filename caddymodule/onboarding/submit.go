// This file holds the way of a form that was sent: what is checked, and in which order.

package onboarding

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// maxBody bounds a form, in bytes: two passphrases of 1,024 bytes, each of them
// in three characters, and the token against forgery.
const maxBody = 16 << 10

// unavailableRetry is when a client may come again that the store kept waiting.
const unavailableRetry = 5 * time.Second

// Names of the form's fields.
const (
	fieldPassphrase = "passphrase"
	fieldRepeat     = "repeat"
	fieldCSRF       = "csrf"
)

// submit answers a form. The register token is the instance's, as CheckToken
// said; Onboard looks again, since between the two somebody can use it.
func (v *visit) submit() error {
	kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return v.tell(badForm.as(http.StatusUnsupportedMediaType))
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxBody)
	if err := v.r.ParseForm(); err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return v.tell(badForm.as(http.StatusRequestEntityTooLarge))
		}
		return v.tell(badForm)
	}
	if !v.genuine(v.r.PostForm.Get(fieldCSRF)) {
		return v.form(http.StatusForbidden, problem{code: formExpired})
	}
	passphrase := v.r.PostForm.Get(fieldPassphrase)
	if code := judge(passphrase, words(v.inst)); code != "" {
		return v.form(http.StatusUnprocessableEntity, problem{code: code, field: fieldPassphrase})
	}
	if v.r.PostForm.Get(fieldRepeat) != passphrase {
		return v.form(http.StatusUnprocessableEntity, problem{code: passwordDiffers, field: fieldRepeat})
	}
	err = v.page.onboard(v.r.Context(), v.inst.ID, v.token, passphrase)
	field := new(tenancy.FieldError)
	switch {
	case err == nil:
		v.dropCookie()
		return v.leave()
	case errors.Is(err, ErrToken):
		return v.tell(linkInvalid)
	case errors.Is(err, tenancy.ErrNotFound):
		return v.notFound()
	case errors.As(err, &field):
		return v.form(http.StatusUnprocessableEntity, problem{code: passwordRefused, field: fieldPassphrase})
	}
	v.retryAfter(unavailableRetry)
	return errors.Join(
		fmt.Errorf("onboarding an instance: %w", err),
		v.form(http.StatusServiceUnavailable, problem{code: unavailable.code}))
}

// onboard waits for its turn, and then asks the backend. A visitor who leaves
// meanwhile does not stop a change halfway.
func (p *Page) onboard(ctx context.Context, id string, token []byte, passphrase string) error {
	waiting, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	select {
	case p.turns <- struct{}{}:
	case <-waiting.Done():
		return fmt.Errorf("waiting for a turn: %w", context.Cause(waiting))
	}
	defer func() { <-p.turns }()
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
	defer cancel()
	return p.backend.Onboard(detached, id, token, passphrase)
}
