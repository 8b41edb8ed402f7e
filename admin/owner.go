// Owner: what is done for an instance's owner: a password, a link, sessions,
// tokens, apps.

package admin

import (
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// only refuses parameters that a route does not have.
func only(values map[string]value, allowed ...string) error {
next:
	for name := range values {
		for _, a := range allowed {
			if a == name {
				continue next
			}
		}
		return &tenancy.FieldError{Field: name, Problem: "is not a parameter of this"}
	}
	return nil
}

func (h *handler) setPassphrase(app App, w http.ResponseWriter, r *http.Request) error {
	values, err := h.readValues(r)
	if err != nil {
		return err
	}
	if err := only(values, "Passphrase", "KdfIterations", "Key", "PublicKey", "PrivateKey"); err != nil {
		return err
	}
	ask, err := changeOf(values)
	if err != nil {
		return err
	}
	if ask.change.Passphrase == nil {
		return &tenancy.FieldError{Field: "Passphrase", Problem: "is missing"}
	}
	ctx, done := work(app, r)
	defer done()
	inst, err := app.Lifecycle().SetPassphrase(ctx, r.PathValue("domain"), *ask.change.Passphrase)
	if err != nil {
		return err
	}
	h.log.Info("passphrase set", zap.String("domain", inst.Domain()))
	return writeInstance(w, http.StatusOK, inst)
}

func (h *handler) authMode(app App, w http.ResponseWriter, r *http.Request) error {
	values, err := h.readValues(r)
	if err != nil {
		return err
	}
	if err := only(values, "auth_mode"); err != nil {
		return err
	}
	mode := values["auth_mode"].text
	if mode == "" {
		return &tenancy.FieldError{Field: "auth_mode", Problem: "is missing", Allowed: "basic, two_factor_mail"}
	}
	ctx, done := work(app, r)
	defer done()
	if _, err := app.Lifecycle().Modify(ctx, r.PathValue("domain"), lifecycle.Change{AuthMode: &mode}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// resendLink answers with the new register token, as an add does with the first.
func (h *handler) resendLink(app App, w http.ResponseWriter, r *http.Request) error {
	values, err := h.readValues(r)
	if err != nil {
		return err
	}
	if err := only(values, "Send"); err != nil {
		return err
	}
	send, err := truth(values["Send"])
	if err != nil {
		return named(err, "Send")
	}
	ctx, done := work(app, r)
	defer done()
	inst, err := app.Lifecycle().ResendLink(ctx, r.PathValue("domain"), send)
	if err != nil {
		return err
	}
	h.log.Info("link made anew", zap.String("domain", inst.Domain()), zap.Bool("sent", send))
	return writeJSON(w, http.StatusOK, jsonAPI, addedDocument(&lifecycle.Added{Instance: inst}))
}

func (h *handler) installApps(app App, w http.ResponseWriter, r *http.Request) error {
	values, err := h.readValues(r)
	if err != nil {
		return err
	}
	if err := only(values, "Apps"); err != nil {
		return err
	}
	ask, err := changeOf(values)
	if err != nil {
		return err
	}
	if ask.change.Apps == nil || len(*ask.change.Apps) == 0 {
		return &tenancy.FieldError{Field: "Apps", Problem: "is missing", Allowed: `"drive,photos" or ["drive","photos"]`}
	}
	ctx, done := work(app, r)
	defer done()
	p := newProgress(w, r)
	inst, err := app.Lifecycle().InstallApps(ctx, r.PathValue("domain"), *ask.change.Apps, p.report)
	if err != nil {
		return p.fail(err)
	}
	h.log.Info("apps installed", zap.String("domain", inst.Domain()), zap.Strings("apps", *ask.change.Apps), zap.Strings("failed", inst.Failed))
	return p.end(http.StatusOK, withMeta(objectOf(inst.Instance), inst))
}

func (h *handler) cleanSessions(app App, w http.ResponseWriter, r *http.Request) error {
	ctx, done := work(app, r)
	defer done()
	if err := app.Lifecycle().CleanSessions(ctx, r.PathValue("domain")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handler) lastActivity(app App, w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := question(r)
	defer cancel()
	last, err := app.Lifecycle().LastActivity(ctx, r.PathValue("domain"))
	if err != nil {
		return err
	}
	var day *string
	if !last.IsZero() {
		s := last.Format(time.DateOnly)
		day = &s
	}
	return writeJSON(w, http.StatusOK, "application/json", map[string]*string{"last-activity": day})
}

// token makes a token for an instance: as text, as a stack does.
func (h *handler) token(app App, w http.ResponseWriter, r *http.Request) error {
	values, err := h.readValues(r)
	if err != nil {
		return err
	}
	if err := only(values, "Domain", "Audience", "Scope", "Subject", "Expire"); err != nil {
		return err
	}
	ask := lifecycle.TokenRequest{
		Domain: values["Domain"].text, Audience: values["Audience"].text,
		Scope: values["Scope"].text, Subject: values["Subject"].text,
	}
	if text := values["Expire"].text; text != "" {
		if ask.Expire, err = parseDuration(text); err != nil || ask.Expire < 0 {
			return &tenancy.FieldError{Field: "Expire", Problem: "is not a time", Allowed: "as in 2h or 30d; 0 for that of the audience"}
		}
	}
	ctx, cancel := question(r)
	defer cancel()
	token, err := app.Lifecycle().Token(ctx, ask)
	if err != nil {
		return err
	}
	h.log.Info("token made", zap.String("domain", ask.Domain), zap.String("audience", ask.Audience), zap.String("subject", ask.Subject))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(token)) // a client that has gone is no concern
	return nil
}
