// Instances: the routes of the contract.

package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// maxPage bounds page[limit] and page[skip].
const maxPage = 10_000_000

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

func (h *handler) add(app App, w http.ResponseWriter, r *http.Request) error {
	name, change, err := readChange(r)
	if err != nil {
		return err
	}
	domain, err := tenancy.ParseDomain(name)
	if err != nil {
		return err
	}
	ctx, done := work(app, r)
	defer done()
	p := newProgress(w, r)
	inst, err := app.Lifecycle().Add(ctx, domain, change, p.report)
	if err != nil {
		return p.fail(err)
	}
	h.log.Info("instance added", zap.String("domain", inst.Domain()), zap.String("prefix", inst.Prefix()))
	o := objectOf(inst.Instance)
	o.Attributes["register_token"] = inst.Raw("register_token") // for the link, here and nowhere else
	return p.end(http.StatusCreated, map[string]object{"data": o})
}

func (h *handler) modify(app App, w http.ResponseWriter, r *http.Request) error {
	name, change, err := readChange(r)
	if err != nil {
		return err
	}
	if name != "" {
		return &tenancy.FieldError{Field: "Domain", Problem: "cannot be changed"}
	}
	ctx, done := work(app, r)
	defer done()
	inst, err := app.Lifecycle().Modify(ctx, r.PathValue("domain"), change)
	if err != nil {
		return err
	}
	h.log.Info("instance modified", zap.String("domain", inst.Domain()), zap.Stringer("state", inst.State()))
	return writeInstance(w, http.StatusOK, inst)
}

func (h *handler) destroy(app App, w http.ResponseWriter, r *http.Request) error {
	ctx, done := work(app, r)
	defer done()
	p := newProgress(w, r)
	if err := app.Lifecycle().Destroy(ctx, r.PathValue("domain"), p.report); err != nil {
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
	return writeInstance(w, http.StatusOK, inst)
}

func (h *handler) prefix(app App, w http.ResponseWriter, r *http.Request) error {
	inst, err := get(app, r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, "application/json", inst.Prefix())
}

func get(app App, r *http.Request) (*tenancy.Instance, error) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	return app.Lifecycle().Get(ctx, r.PathValue("domain"))
}

func (h *handler) count(app App, w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	n, err := app.Lifecycle().Count(ctx)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, "application/json", map[string]int64{"count": n})
}

// list streams, so that a list of any length takes the same memory. What fails
// after the first instance ends the connection, since an answer that looks whole
// and is not would be worse.
func (h *handler) list(app App, w http.ResponseWriter, r *http.Request) error {
	page := lifecycle.Page{Cursor: r.URL.Query().Get("page[cursor]")}
	var err error
	if page.Limit, err = pageNumber(r, "page[limit]"); err != nil {
		return err
	}
	if page.Skip, err = pageNumber(r, "page[skip]"); err != nil {
		return err
	}
	count, err := app.Lifecycle().Count(r.Context())
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	begun := false
	begin := func() {
		begun = true
		w.Header().Set("Content-Type", jsonAPI)
		_, _ = out.WriteString(`{"data":[`)
	}
	first := true
	next, err := app.Lifecycle().List(r.Context(), page, func(inst *tenancy.Instance) error {
		raw, err := json.Marshal(objectOf(inst))
		if err != nil {
			return err
		}
		if !begun {
			begin()
		}
		if !first {
			_ = out.WriteByte(',')
		}
		first = false
		_, err = out.Write(raw)
		return err
	})
	if err != nil {
		if begun {
			h.log.Error("a list of instances ended early", zap.Error(err))
			panic(http.ErrAbortHandler)
		}
		return err
	}
	if !begun {
		begin()
	}
	links := map[string]string{}
	if next != "" {
		links["next"] = "/instances?" + url.Values{
			"page[cursor]": {next}, "page[limit]": {strconv.Itoa(page.Limit)},
		}.Encode()
	}
	end, err := json.Marshal(map[string]any{"links": links, "meta": map[string]int64{"count": count}})
	if err != nil {
		return err
	}
	_, _ = out.WriteString("],")
	_, _ = out.Write(end[1:])
	_ = out.Flush() // a client that has gone is no concern
	return nil
}
