// Fleet: what is asked of a whole store: its history, its journal, its repair, and
// the names in quarantine.

package admin

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// history is that of an instance, or of one that is gone.
func (h *handler) history(app App, w http.ResponseWriter, r *http.Request) error {
	limit, err := pageNumber(r, "page[limit]")
	if err != nil {
		return err
	}
	out := newArray(w, "application/json")
	err = app.Lifecycle().History(r.Context(), r.PathValue("domain"), limit, func(e lifecycle.Entry) error { return out.add(e) })
	if err != nil {
		return h.cut(out, err)
	}
	return h.cut(out, out.end(nil))
}

func (h *handler) operations(app App, w http.ResponseWriter, r *http.Request) error {
	all, err := queryTruth(r, "All")
	if err != nil {
		return err
	}
	out := newArray(w, "application/json")
	if err := app.Lifecycle().Operations(r.Context(), all, func(o lifecycle.Operation) error { return out.add(o) }); err != nil {
		return h.cut(out, err)
	}
	return h.cut(out, out.end(nil))
}

func (h *handler) quarantines(app App, w http.ResponseWriter, r *http.Request) error {
	out := newArray(w, "application/json")
	if err := app.Lifecycle().Quarantines(r.Context(), func(q lifecycle.Quarantine) error { return out.add(q) }); err != nil {
		return h.cut(out, err)
	}
	return h.cut(out, out.end(nil))
}

func (h *handler) liftQuarantine(app App, w http.ResponseWriter, r *http.Request) error {
	ctx, done := work(app, r)
	defer done()
	if err := app.Lifecycle().LiftQuarantine(ctx, r.PathValue("domain")); err != nil {
		return err
	}
	h.log.Info("quarantine lifted", zap.String("domain", r.PathValue("domain")))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// queryTruth reads a boolean of the query.
func queryTruth(r *http.Request, name string) (bool, error) {
	b, err := truth(value{text: r.URL.Query().Get(name)})
	return b, named(err, name)
}

func (h *handler) check(app App, w http.ResponseWriter, r *http.Request) error {
	return h.mend(app, w, r, true)
}

func (h *handler) repair(app App, w http.ResponseWriter, r *http.Request) error {
	return h.mend(app, w, r, false)
}

// mend checks or repairs. A check ends with its client, a repair does not.
func (h *handler) mend(app App, w http.ResponseWriter, r *http.Request, dry bool) error {
	values, err := h.readValues(r)
	if err != nil {
		return err
	}
	if err := only(values, "DryRun", "Domain", "DropOrphans"); err != nil {
		return err
	}
	o := lifecycle.RepairOptions{Domain: values["Domain"].text}
	if o.DryRun, err = truth(values["DryRun"]); err != nil {
		return named(err, "DryRun")
	}
	o.DryRun = o.DryRun || dry
	if o.DropOrphans, err = truth(values["DropOrphans"]); err != nil {
		return named(err, "DropOrphans")
	}
	return h.findings(app, w, r, o.DryRun, func(ctx context.Context, p *progress) (any, error) {
		report, err := app.Lifecycle().Repair(ctx, o, p.find, p.report)
		if err == nil {
			h.log.Info("store checked", zap.Bool("dry_run", o.DryRun), zap.Int("instances", report.Instances),
				zap.Int("found", report.Found), zap.Int("mended", report.Mended))
		}
		return report, err
	})
}

func (h *handler) adopt(app App, w http.ResponseWriter, r *http.Request) error {
	return h.findings(app, w, r, false, func(ctx context.Context, p *progress) (any, error) {
		return app.Lifecycle().Adopt(ctx, p.find, p.report)
	})
}

// findings streams what is found, for one client at a time on each front door,
// since it goes through the whole store.
func (h *handler) findings(app App, w http.ResponseWriter, r *http.Request, attached bool, run func(context.Context, *progress) (any, error)) error {
	p := &progress{w: w, stream: true}
	report, err := h.alone(app, r, attached, func(ctx context.Context) (any, error) { return run(ctx, p) })
	if err != nil {
		return p.fail(err)
	}
	return p.end(http.StatusOK, report)
}

// alone runs what only one at a time may run. Attached work ends with its client.
// It is over before the client is told so, who may ask for the next at once.
func (h *handler) alone(app App, r *http.Request, attached bool, run func(context.Context) (any, error)) (any, error) {
	select {
	case h.repairs <- struct{}{}:
		defer func() { <-h.repairs }()
	default:
		return nil, tenancy.Conflictf("a check, a repair or an adoption is under way on this front door")
	}
	ctx, done := workFor(app, r, repairTime)
	defer done()
	if attached {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(r.Context(), cancel)()
	}
	return run(ctx)
}
