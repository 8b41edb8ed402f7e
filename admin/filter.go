// Filter: which instances a list is for, and in what order.

package admin

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// filter leaves the instances for which all that is asked holds. A nil field is
// not asked for; an empty text is for instances without one.
type filter struct {
	state, domain, context, locale, reason *string
	cluster                                *int
	onboarded                              *bool
}

// filterFields are the names of filters, with how each is read.
var filterFields = map[string]func(f *filter, v string) error{
	"state": func(f *filter, v string) error {
		if !slices.Contains([]string{"active", "blocked", "deleting"}, v) {
			return &tenancy.FieldError{Problem: "is not a state", Allowed: "active, blocked, deleting"}
		}
		f.state = &v
		return nil
	},
	"domain": func(f *filter, v string) error {
		v = strings.ToLower(v)
		if _, err := path.Match(v, ""); err != nil || v == "" {
			return &tenancy.FieldError{Problem: "is not a pattern", Allowed: "as in *.example.com, with * and ?"}
		}
		f.domain = &v
		return nil
	},
	"context": func(f *filter, v string) error { f.context = &v; return nil },
	"locale":  func(f *filter, v string) error { f.locale = &v; return nil },
	"reason":  func(f *filter, v string) error { f.reason = &v; return nil },
	"cluster": func(f *filter, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return &tenancy.FieldError{Problem: "is not a number"}
		}
		f.cluster = &n
		return nil
	},
	"onboarded": func(f *filter, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return &tenancy.FieldError{Problem: "is not a boolean", Allowed: "true, false"}
		}
		f.onboarded = &b
		return nil
	},
}

// filterField is the field in a parameter like filter[state], or empty.
func filterField(name string) string {
	field, ok := strings.CutPrefix(name, "filter[")
	if field, end := strings.CutSuffix(field, "]"); ok && end {
		return field
	}
	return ""
}

// readFilter reads the parameters filter[…] of a query.
func readFilter(query url.Values) (*filter, error) {
	f := new(filter)
	for name, values := range query {
		field := filterField(name)
		if field == "" {
			continue
		}
		read, known := filterFields[field]
		if !known {
			return nil, &tenancy.FieldError{Field: name, Problem: "is not a filter", Allowed: strings.Join(slices.Sorted(maps.Keys(filterFields)), ", ")}
		}
		if len(values) > 1 {
			return nil, &tenancy.FieldError{Field: name, Problem: "is given more than once"}
		}
		if err := read(f, values[0]); err != nil {
			return nil, named(err, name)
		}
	}
	return f, nil
}

func (f *filter) empty() bool { return *f == filter{} }

// matches looks at what the directory knows of an instance: all but whether it is
// onboarded.
func (f *filter) matches(e directory.Entry) bool {
	return is(f.state, e.State().String()) && is(f.context, e.Context()) && is(f.locale, e.Locale()) &&
		is(f.reason, string(e.Reason())) && is(f.cluster, e.Cluster()) &&
		(f.domain == nil || like(*f.domain, e.Domain()) || like(*f.domain, e.Key()))
}

func is[T comparable](want *T, have T) bool { return want == nil || *want == have }

func like(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// matchesDocument looks at the document itself, which may be newer.
func (f *filter) matchesDocument(inst *tenancy.Instance) bool {
	e, err := directory.EntryOf(inst)
	return err == nil && f.matches(e) && is(f.onboarded, inst.Bool("onboarding_finished"))
}

// order is by a field, then by id; the zero value by id.
type order struct {
	field string
	down  bool
	key   func(e directory.Entry) string
}

var orderKeys = map[string]func(e directory.Entry) string{
	"domain":  func(e directory.Entry) string { return e.Domain() },
	"context": func(e directory.Entry) string { return e.Context() },
	"locale":  func(e directory.Entry) string { return e.Locale() },
	"state":   func(e directory.Entry) string { return e.State().String() },
	"cluster": func(e directory.Entry) string { return fmt.Sprintf("%06d", e.Cluster()) },
}

// readOrder reads the parameter sort: a field, with a dash for the other way round.
func readOrder(s string) (order, error) {
	o := order{key: func(directory.Entry) string { return "" }}
	if s == "" {
		return o, nil
	}
	o.field, o.down = strings.CutPrefix(s, "-")
	key, known := orderKeys[o.field]
	if !known {
		return o, &tenancy.FieldError{Field: "sort", Problem: "is not an order", Allowed: strings.Join(slices.Sorted(maps.Keys(orderKeys)), ", ") + ", each with a - before it for the other way round"}
	}
	o.key = key
	return o, nil
}

// place is where an instance stands in an order.
type place struct{ key, id string }

func (o order) place(e directory.Entry) place { return place{o.key(e), e.ID()} }

func (o order) compare(a, b place) int {
	c := cmp.Compare(a.key, b.key)
	if o.down {
		c = -c
	}
	return cmp.Or(c, cmp.Compare(a.id, b.id))
}

// compareEntries is compare without making the ids.
func (o order) compareEntries(a, b directory.Entry) int {
	c := cmp.Compare(o.key(a), o.key(b))
	if o.down {
		c = -c
	}
	if c != 0 {
		return c
	}
	return a.CompareID(b)
}

// cursor and placeOf are a place as a client has it, and back.
func (p place) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.id + "\x00" + p.key))
}

func placeOf(cursor string) (place, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	id, key, found := strings.Cut(string(raw), "\x00")
	if err != nil || !found {
		return place{}, &tenancy.FieldError{Field: "page[cursor]", Problem: "is not one of a list with this filter and order", Allowed: "that of links.next"}
	}
	return place{key: key, id: id}, nil
}

// batchSize is how many documents are read at a time.
const batchSize = 500

var errPageFull = errors.New("the page is full")

// list gives the instances of a page to fn. What it keeps for each instance is a
// reference to what the directory has anyway.
func (f *filter) list(ctx context.Context, app App, o order, page lifecycle.Page, fn func(*tenancy.Instance) error) (next string, err error) {
	if !app.Directory().Status().Ready {
		return "", &apiError{
			status: http.StatusServiceUnavailable, title: "Service Unavailable",
			detail: "there is no directory of instances yet, which a filter or an order takes",
		}
	}
	var from place
	if page.Cursor != "" {
		if from, err = placeOf(page.Cursor); err != nil {
			return "", err
		}
	}
	var entries []directory.Entry
	for e := range app.Directory().All() {
		if f.matches(e) && (page.Cursor == "" || o.compare(o.place(e), from) >= 0) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, o.compareEntries)
	given, skip := 0, page.Skip
	for len(entries) > 0 {
		some := entries[:min(batchSize, len(entries))]
		ids := make([]string, len(some))
		for i, e := range some {
			ids[i] = e.ID()
		}
		done := 0 // of this batch
		err := app.Lifecycle().Documents(ctx, ids, func(inst *tenancy.Instance) error {
			if page.Limit > 0 && given == page.Limit {
				return errPageFull
			}
			for ids[done] != inst.ID() { // those that are gone
				done++
			}
			done++
			switch {
			case !f.matchesDocument(inst):
			case skip > 0:
				skip--
			default:
				given++
				return fn(inst)
			}
			return nil
		})
		if err == errPageFull || err == nil && page.Limit > 0 && given == page.Limit && (done < len(entries)) {
			return o.place(entries[done]).cursor(), nil
		}
		if err != nil {
			return "", err
		}
		entries = entries[len(some):]
	}
	return "", nil
}
