// Instances: the routes of the contract.

package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/access"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// object is an instance in JSON:API.
type object struct {
	Type       string                     `json:"type"`
	ID         string                     `json:"id"`
	Attributes map[string]json.RawMessage `json:"attributes"`
	Meta       map[string]string          `json:"meta"`
	Links      map[string]string          `json:"links"`
}

// objectOf shows an instance, without secrets.
func objectOf(inst *tenancy.Instance) object {
	return object{
		Type: "instances", ID: inst.ID(), Attributes: inst.Attributes(),
		Meta:  map[string]string{"rev": inst.Rev()},
		Links: map[string]string{"self": "/instances/" + inst.ID()},
	}
}

func writeJSON(w http.ResponseWriter, status int, media string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n')) // a client that has gone is no concern
	return nil
}

func writeInstance(w http.ResponseWriter, status int, inst *tenancy.Instance) error {
	return writeJSON(w, status, jsonAPI, map[string]object{"data": objectOf(inst)})
}

// addedMeta is what of a new instance could not be done.
type addedMeta struct {
	Warnings   []string `json:"warnings,omitempty"`
	FailedApps []string `json:"failed_apps,omitempty"`
}

// addedDocument is the answer to an add. It alone, and that of a resent link, has
// the register token, which is for the link.
func addedDocument(inst *lifecycle.Added) map[string]any {
	o := objectOf(inst.Instance)
	if token := inst.Raw("register_token"); token != nil {
		o.Attributes["register_token"] = token
	}
	return withMeta(o, inst)
}

func withMeta(o object, inst *lifecycle.Added) map[string]any {
	answer := map[string]any{"data": o}
	if len(inst.Warnings) > 0 || len(inst.Failed) > 0 {
		answer["meta"] = addedMeta{Warnings: inst.Warnings, FailedApps: inst.Failed}
	}
	return answer
}

func (h *handler) add(app App, w http.ResponseWriter, r *http.Request) error {
	ask, err := h.readChange(r)
	if err != nil {
		return err
	}
	if ask.dryRun {
		return &tenancy.FieldError{Field: "DryRun", Problem: "is for a modify"}
	}
	domain, err := tenancy.ParseDomain(ask.domain)
	if err != nil {
		return err
	}
	ctx, done := work(app, r)
	defer done()
	p := newProgress(w, r)
	inst, err := app.Lifecycle().Add(ctx, domain, ask.change, p.report)
	if err != nil {
		return p.fail(err)
	}
	h.log.Info("instance added", zap.String("domain", inst.Domain()), zap.String("prefix", inst.Prefix()),
		zap.Strings("failed_apps", inst.Failed), zap.Strings("warnings", inst.Warnings))
	return p.end(http.StatusCreated, addedDocument(inst))
}

func (h *handler) modify(app App, w http.ResponseWriter, r *http.Request) error {
	values, err := h.readValues(r)
	if err != nil {
		return err
	}
	role := callerOf(r).role
	if !role.May(access.Admin) {
		// A cozy-stack's command line sends these with every modify.
		for name, always := range map[string]string{"MagicLink": "false", "DiskQuota": "0"} {
			if v := values[name]; v.raw == nil && v.text == always {
				delete(values, name)
			}
		}
	}
	ask, err := changeOf(values)
	if err != nil {
		return err
	}
	switch {
	case ask.domain != "":
		return &tenancy.FieldError{Field: "Domain", Problem: "cannot be changed"}
	case ask.change.Passphrase != nil:
		return &tenancy.FieldError{Field: "Passphrase", Problem: "is for a new instance; set-passphrase (POST /instances/DOMAIN/passphrase) changes that of another"}
	case ask.change.Apps != nil:
		return &tenancy.FieldError{Field: "Apps", Problem: "is for a new instance; install-apps (POST /instances/DOMAIN/apps) adds some to another"}
	case ask.change.SendLink:
		return &tenancy.FieldError{Field: "Send", Problem: "is for a new instance; resend-link (POST /instances/DOMAIN/link) makes another link"}
	}
	if !role.May(access.Admin) {
		for _, name := range ask.names {
			if !slices.Contains(blockParameters, name) {
				return forbidden(role, "it may change nothing but Blocked and BlockingReason")
			}
		}
	}
	if ask.dryRun {
		return preview(app, w, r, ask.change)
	}
	ctx, done := work(app, r)
	defer done()
	inst, err := app.Lifecycle().Modify(ctx, r.PathValue("domain"), ask.change)
	if err != nil {
		return err
	}
	h.log.Info("instance modified", zap.String("domain", inst.Domain()), zap.Stringer("state", inst.State()))
	return writeInstance(w, http.StatusOK, inst)
}

// preview answers what a modify would make another.
func preview(app App, w http.ResponseWriter, r *http.Request, change lifecycle.Change) error {
	ctx, cancel := question(r)
	defer cancel()
	inst, differences, err := app.Lifecycle().Preview(ctx, r.PathValue("domain"), change)
	if err != nil {
		return err
	}
	if differences == nil {
		differences = []lifecycle.Difference{}
	}
	return writeJSON(w, http.StatusOK, jsonAPI, map[string]any{
		"data": objectOf(inst), "meta": map[string]any{"differences": differences},
	})
}

func (h *handler) destroy(app App, w http.ResponseWriter, r *http.Request) error {
	var o lifecycle.DestroyOptions
	if text := r.URL.Query().Get("Quarantine"); text != "" {
		d, err := parseDuration(text)
		if err != nil || d < 0 {
			return &tenancy.FieldError{Field: "Quarantine", Problem: "is not a time", Allowed: "as in 30d or 12h; 0 for none"}
		}
		o.Quarantine = &d
	}
	ctx, done := work(app, r)
	defer done()
	p := newProgress(w, r)
	if err := app.Lifecycle().DestroyWith(ctx, r.PathValue("domain"), o, p.report); err != nil {
		return p.fail(err)
	}
	h.log.Info("instance destroyed", zap.String("domain", r.PathValue("domain")))
	return p.end(http.StatusNoContent, nil)
}

func (h *handler) show(app App, w http.ResponseWriter, r *http.Request) error {
	inst, err := get(app, r)
	if err != nil {
		return err
	}
	o := objectOf(inst)
	certify(r.Context(), app, inst, &o)
	return writeJSON(w, http.StatusOK, jsonAPI, map[string]object{"data": o})
}

func (h *handler) prefix(app App, w http.ResponseWriter, r *http.Request) error {
	inst, err := get(app, r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, "application/json", inst.Prefix())
}

func get(app App, r *http.Request) (*tenancy.Instance, error) {
	ctx, cancel := question(r)
	defer cancel()
	return app.Lifecycle().Get(ctx, r.PathValue("domain"))
}

func (h *handler) count(app App, w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := question(r)
	defer cancel()
	n, err := app.Lifecycle().Count(ctx)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, "application/json", map[string]int64{"count": n})
}
