// List: the answer with all instances, or with those that a filter leaves, in an
// order.

package admin

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// maxPage bounds page[limit] and page[skip].
const maxPage = 10_000_000

// list streams, so that a list of any length takes the same memory. What fails
// after the first instance ends the connection, since an answer that looks whole
// and is not would be worse.
//
// Without a filter and an order it goes through the store, in the order of ids.
// With either, what this front door knows is filtered and put in order, and the
// documents of that are read from the store and looked at again.
func (h *handler) list(app App, w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	page := lifecycle.Page{Cursor: query.Get("page[cursor]")}
	var err error
	if page.Limit, err = pageNumber(r, "page[limit]"); err != nil {
		return err
	}
	if page.Skip, err = pageNumber(r, "page[skip]"); err != nil {
		return err
	}
	chosen, err := readFilter(query)
	if err != nil {
		return err
	}
	order, err := readOrder(query.Get("sort"))
	if err != nil {
		return err
	}
	count, err := app.Lifecycle().Count(r.Context())
	if err != nil {
		return err
	}
	out := newArray(w, jsonAPI)
	each := func(inst *tenancy.Instance) error { return out.add(objectOf(inst)) }
	var next string
	if chosen.empty() && order.field == "" {
		next, err = app.Lifecycle().List(r.Context(), page, each)
	} else {
		next, err = chosen.list(r.Context(), app, order, page, each)
	}
	if err != nil {
		return h.cut(out, err)
	}
	links := map[string]string{}
	if next != "" {
		again := url.Values{"page[cursor]": {next}, "page[limit]": {strconv.Itoa(page.Limit)}}
		for name, values := range query { // the same choice
			if filterField(name) != "" || name == "sort" {
				again[name] = values
			}
		}
		links["next"] = "/instances?" + again.Encode()
	}
	return h.cut(out, out.end(map[string]any{"links": links, "meta": map[string]int64{"count": count}}))
}

// cut ends a stream that has failed: by an answer with the error if nothing is
// written yet, else by the end of the connection.
func (h *handler) cut(out *array, err error) error {
	if err == nil || !out.begun {
		return err
	}
	if !out.gone {
		h.log.Error("an answer ended early", zap.Error(err))
	}
	panic(http.ErrAbortHandler)
}

// array writes {"data":[…]} item by item.
type array struct {
	w     http.ResponseWriter
	out   *bufio.Writer
	media string
	begun bool
	first bool
	gone  bool // the client
}

func newArray(w http.ResponseWriter, media string) *array {
	a := &array{w: w, media: media}
	a.out = bufio.NewWriterSize(&patient{w: w, controller: http.NewResponseController(w)}, 64<<10)
	return a
}

func (a *array) begin() {
	if !a.begun {
		a.begun, a.first = true, true
		a.w.Header().Set("Content-Type", a.media)
		_, _ = a.out.WriteString(`{"data":[`) // an error stays with the writer
	}
}

// add writes one item. Its error is that of an item that cannot be written, or of a
// client that has gone.
func (a *array) add(item any) error {
	raw, err := json.Marshal(item)
	if err != nil {
		return err
	}
	a.begin()
	if !a.first {
		_ = a.out.WriteByte(',')
	}
	a.first = false
	_, err = a.out.Write(raw)
	a.gone = a.gone || err != nil
	return err
}

// end writes what stands behind the items.
func (a *array) end(rest map[string]any) error {
	raw, err := json.Marshal(rest)
	if err != nil {
		return err
	}
	a.begin()
	_, _ = a.out.WriteString("]")
	if len(rest) > 0 {
		raw[0] = ','
		_, _ = a.out.Write(raw)
	} else {
		_ = a.out.WriteByte('}')
	}
	_ = a.out.WriteByte('\n')
	if err := a.out.Flush(); err != nil {
		a.gone = true
		return err
	}
	return nil
}

// patient gives the client a time for each piece rather than for the whole, since
// a long answer may take long.
type patient struct {
	w          http.ResponseWriter
	controller *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	// Not every writer can; the server's own limit holds then.
	_ = p.controller.SetWriteDeadline(time.Now().Add(writeTime))
	return p.w.Write(b)
}
