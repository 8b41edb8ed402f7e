// Export: all instances as the parameters that would make them again.

package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

const (
	// exportBatch is how many instances are in memory at a time.
	exportBatch = 32
	// exportParallel settings documents are read at a time.
	exportParallel = 8
)

// exportFields are the fields of the document with their parameters, where both
// have the same value.
var exportFields = map[string]string{
	"domain": "Domain", "domain_aliases": "DomainAliases", "old_domain": "OldDomain", "org_domain": "OrgDomain",
	"org_id": "OrgID", "locale": "Locale", "uuid": "UUID", "oidc_id": "OIDCID", "franceconnect_id": "FranceConnectID",
	"tos": "TOSSigned", "tos_latest": "TOSLatest", "context": "ContextName", "sponsorships": "Sponsorships",
	"feature_sets": "FeatureSets", "magic_link": "MagicLink", "swift_cluster": "SwiftLayout", "disk_quota": "DiskQuota",
	"blocked": "Blocked", "blocking_reason": "BlockingReason", "onboarding_finished": "OnboardingFinished",
}

// exportSettings are the owner's settings that have parameters of their own.
var exportSettings = map[string]string{"tz": "Timezone", "email": "Email", "public_name": "PublicName", "phone": "Phone"}

// export streams a line for each instance, in the form that an import takes. It
// has no secret, so passwords are not in it; nor are instances that are being
// deleted. The cluster of databases is left to where it is imported.
func (h *handler) export(app App, w http.ResponseWriter, r *http.Request) error {
	out := bufio.NewWriterSize(&patient{w: w, controller: http.NewResponseController(w)}, 64<<10)
	begun := false
	write := func(batch []*tenancy.Instance) error {
		lines, err := exportLines(r.Context(), app, batch)
		if err != nil {
			return err
		}
		if !begun {
			begun = true
			w.Header().Set("Content-Type", ndjson)
		}
		for _, line := range lines {
			_, _ = out.Write(line) // an error stays with the writer
			_ = out.WriteByte('\n')
		}
		return out.Flush()
	}
	var batch []*tenancy.Instance
	_, err := app.Lifecycle().List(r.Context(), lifecycle.Page{}, func(inst *tenancy.Instance) error {
		if inst.State() == tenancy.Deleting || inst.Malformed() != nil {
			return nil
		}
		if batch = append(batch, inst); len(batch) < exportBatch {
			return nil
		}
		err := write(batch)
		batch = batch[:0]
		return err
	})
	if err == nil {
		err = write(batch)
	}
	return h.cut(&array{begun: begun, gone: r.Context().Err() != nil}, err)
}

// exportLines makes the lines of some instances, in order.
func exportLines(ctx context.Context, app App, batch []*tenancy.Instance) ([][]byte, error) {
	lines := make([][]byte, len(batch))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(exportParallel)
	for i, inst := range batch {
		group.Go(func() error {
			settings, err := app.Lifecycle().OwnerSettings(ctx, inst)
			if err != nil {
				return err
			}
			lines[i], err = json.Marshal(exportOf(inst, settings))
			return err
		})
	}
	return lines, group.Wait()
}

// exportOf are the parameters that make an instance again.
func exportOf(inst *tenancy.Instance, settings map[string]json.RawMessage) map[string]any {
	out := map[string]any{}
	for field, name := range exportFields {
		if raw := inst.Raw(field); raw != nil && string(raw) != "null" {
			out[name] = raw
		}
	}
	if layout := inst.Int("swift_cluster"); layout < 0 || layout > 2 { // no parameter says that
		delete(out, "SwiftLayout")
	}
	if inst.Bool("no_auto_update") {
		out["AutoUpdate"] = false
	}
	for name, number := range lifecycle.AuthModes {
		if number != 0 && inst.Int("auth_mode") == number {
			out["AuthMode"] = name
		}
	}
	rest := map[string]string{}
	for key, raw := range settings {
		var text string
		if tenancy.Secret(key) || json.Unmarshal(raw, &text) != nil || text == "" {
			continue // what is no text, no parameter can say
		}
		if name, own := exportSettings[key]; own {
			out[name] = text
		} else {
			rest[key] = text
		}
	}
	if len(rest) > 0 {
		out["Settings"] = rest
	}
	return out
}
