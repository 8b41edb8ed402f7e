// Tokens: the making, listing and revoking of the API's own tokens.

package admin

import (
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/access"
)

var errNoTokens = &apiError{
	status: http.StatusNotImplemented, title: "Not Implemented", detail: "this front door has no tokens",
}

func (h *handler) listTokens(app App, w http.ResponseWriter, r *http.Request) error {
	store := tokensOf(app)
	if store == nil {
		return errNoTokens
	}
	ctx, cancel := question(r)
	defer cancel()
	out := newArray(w, "application/json")
	if err := store.List(ctx, func(t access.Token) error { return out.add(t) }); err != nil {
		return h.cut(out, err)
	}
	return h.cut(out, out.end(nil))
}

// newToken is the answer to the making of a token, the only one with the token.
type newToken struct {
	access.Token
	Secret string `json:"token"`
}

func (h *handler) addToken(app App, w http.ResponseWriter, r *http.Request) error {
	store := tokensOf(app)
	if store == nil {
		return errNoTokens
	}
	values, err := h.readValues(r)
	if err != nil {
		return err
	}
	if err := only(values, "Name", "Role", "Expire"); err != nil {
		return err
	}
	role, err := access.ParseRole("Role", values["Role"].text)
	if err != nil {
		return err
	}
	var life time.Duration
	if text := values["Expire"].text; text != "" {
		if life, err = parseDuration(text); err != nil {
			return &tenancy.FieldError{Field: "Expire", Problem: "is not a time", Allowed: "as in 90d; 0 for a token that does not expire"}
		}
	}
	ctx, done := work(app, r)
	defer done()
	token, secret, err := store.Add(ctx, values["Name"].text, role, life, callerOf(r).name)
	if err != nil {
		return err
	}
	h.log.Info("API token made", zap.String("token", token.Name), zap.String("role", string(token.Role)), zap.String("by", token.By))
	return writeJSON(w, http.StatusCreated, "application/json", map[string]newToken{"data": {token, secret}})
}

func (h *handler) revokeToken(app App, w http.ResponseWriter, r *http.Request) error {
	store := tokensOf(app)
	if store == nil {
		return errNoTokens
	}
	ctx, done := work(app, r)
	defer done()
	token, err := store.Revoke(ctx, r.PathValue("token"))
	if err != nil {
		return err
	}
	h.log.Info("API token revoked", zap.String("token", token.Name), zap.String("by", callerOf(r).name))
	w.WriteHeader(http.StatusNoContent)
	return nil
}
