// Params: what add and modify are asked for, from a query string or a JSON body.

package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// value is one parameter's value. In a query an empty one means unchanged, since
// a cozy-stack's command line sends every parameter; in a body it clears.
type value struct {
	text string          // of a query, or of a JSON string or number
	raw  json.RawMessage // of a body; nil for a query
}

// empty tells whether nothing is asked for.
func (v value) empty() bool { return v.raw == nil && v.text == "" }

// parameter reads a value into a Change.
type parameter func(c *lifecycle.Change, v value) error

// parameters are all by their names in the API. What has another spelling
// stands twice.
var parameters = map[string]parameter{
	"DomainAliases":      list(func(c *lifecycle.Change) **[]string { return &c.Aliases }),
	"OldDomain":          str(func(c *lifecycle.Change) **string { return &c.OldDomain }),
	"OrgDomain":          str(func(c *lifecycle.Change) **string { return &c.OrgDomain }),
	"OrgID":              str(func(c *lifecycle.Change) **string { return &c.OrgID }),
	"Locale":             str(func(c *lifecycle.Change) **string { return &c.Locale }),
	"UUID":               str(func(c *lifecycle.Change) **string { return &c.UUID }),
	"OIDCID":             str(func(c *lifecycle.Change) **string { return &c.OIDCID }),
	"FranceConnectID":    str(func(c *lifecycle.Change) **string { return &c.FranceConnectID }),
	"TOSSigned":          str(func(c *lifecycle.Change) **string { return &c.TOSSigned }),
	"TOSLatest":          str(func(c *lifecycle.Change) **string { return &c.TOSLatest }),
	"Timezone":           str(func(c *lifecycle.Change) **string { return &c.Timezone }),
	"ContextName":        str(func(c *lifecycle.Change) **string { return &c.ContextName }),
	"Email":              str(func(c *lifecycle.Change) **string { return &c.Email }),
	"PublicName":         str(func(c *lifecycle.Change) **string { return &c.PublicName }),
	"Phone":              str(func(c *lifecycle.Change) **string { return &c.Phone }),
	"AuthMode":           str(func(c *lifecycle.Change) **string { return &c.AuthMode }),
	"BlockingReason":     str(func(c *lifecycle.Change) **string { return &c.BlockingReason }),
	"sponsorships":       list(func(c *lifecycle.Change) **[]string { return &c.Sponsorships }),
	"Sponsorships":       list(func(c *lifecycle.Change) **[]string { return &c.Sponsorships }),
	"feature_sets":       list(func(c *lifecycle.Change) **[]string { return &c.FeatureSets }),
	"FeatureSets":        list(func(c *lifecycle.Change) **[]string { return &c.FeatureSets }),
	"AutoUpdate":         boolean(func(c *lifecycle.Change) **bool { return &c.AutoUpdate }),
	"MagicLink":          boolean(func(c *lifecycle.Change) **bool { return &c.MagicLink }),
	"Blocked":            boolean(func(c *lifecycle.Change) **bool { return &c.Blocked }),
	"Deleting":           boolean(func(c *lifecycle.Change) **bool { return &c.Deleting }),
	"OnboardingFinished": boolean(func(c *lifecycle.Change) **bool { return &c.OnboardingFinished }),
	"SwiftLayout":        number(func(c *lifecycle.Change) **int { return &c.SwiftLayout }),
	"CouchCluster":       number(func(c *lifecycle.Change) **int { return &c.CouchCluster }),
	"DiskQuota":          quota,
	"Settings":           settings,
	"Trace":              ignored, // a stack's debugging aid
	"FromCloudery":       ignored, // says who asks; the change is the same
	"Apps":               later,
	"Passphrase":         later,
	"KdfIterations":      later,
	"Key":                later,
}

// secretParameters must not be in a query, which Caddy's admin endpoint logs.
var secretParameters = []string{"Passphrase", "Key"}

// readChange reads the parameters of a request. The domain is the parameter
// Domain, which only an add has.
func readChange(r *http.Request) (domain string, c lifecycle.Change, err error) {
	values := map[string]value{}
	query := r.URL.Query()
	for _, name := range secretParameters {
		if query.Get(name) != "" {
			return "", c, &tenancy.FieldError{Field: name, Problem: "is a secret, and the query string is logged", Allowed: "in the body, as JSON"}
		}
	}
	for name, given := range query {
		if len(given) > 1 {
			return "", c, &tenancy.FieldError{Field: name, Problem: "is given more than once"}
		}
		values[name] = value{text: given[0]}
	}
	body, err := readBody(r)
	if err != nil {
		return "", c, err
	}
	for name, raw := range body {
		text, err := textOf(name, raw)
		if err != nil {
			return "", c, err
		}
		if old, twice := values[name]; twice && !old.empty() {
			return "", c, &tenancy.FieldError{Field: name, Problem: "is given in the query string and in the body"}
		}
		values[name] = value{text: text, raw: raw}
	}
	if v, ok := values["Domain"]; ok {
		domain = v.text
		delete(values, "Domain")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		if v.empty() {
			continue
		}
		read, known := parameters[name]
		if !known {
			return "", c, &tenancy.FieldError{Field: name, Problem: "is not a parameter", Allowed: "Domain, " + strings.Join(slices.Sorted(maps.Keys(parameters)), ", ")}
		}
		if err := read(&c, v); err != nil {
			var field *tenancy.FieldError
			if errors.As(err, &field) && field.Field == "" {
				field.Field = name
			}
			return "", c, err
		}
	}
	return domain, c, nil
}

// readBody reads a JSON body, if there is one.
func readBody(r *http.Request) (map[string]json.RawMessage, error) {
	raw, err := io.ReadAll(r.Body) // bounded by the handler
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" && media != jsonAPI {
		return nil, &apiError{
			status: http.StatusUnsupportedMediaType, title: "Unsupported Media Type",
			detail: "the body is a JSON object, of Content-Type application/json",
		}
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, &apiError{status: http.StatusBadRequest, title: "Bad Request", detail: "the body is not a JSON object of parameters, as in {\"Domain\":\"alice.example.com\"}"}
	}
	return body, nil
}

// textOf is a JSON string, number, boolean or null as a query would have it.
// Lists and objects are read from their raw form.
func textOf(name string, raw json.RawMessage) (string, error) {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "", nil
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", &tenancy.FieldError{Field: name, Problem: "is not valid JSON"}
		}
		return s, nil
	default:
		return string(raw), nil
	}
}

func structured(v value) bool {
	raw := bytes.TrimSpace(v.raw)
	return len(raw) > 0 && (raw[0] == '[' || raw[0] == '{')
}

func str(at func(*lifecycle.Change) **string) parameter {
	return func(c *lifecycle.Change, v value) error {
		if structured(v) {
			return &tenancy.FieldError{Problem: "is not a text"}
		}
		*at(c) = &v.text
		return nil
	}
}

func list(at func(*lifecycle.Change) **[]string) parameter {
	return func(c *lifecycle.Change, v value) error {
		items := []string{}
		if structured(v) {
			if err := json.Unmarshal(v.raw, &items); err != nil {
				return &tenancy.FieldError{Problem: "is not a list of texts", Allowed: `"a,b" or ["a","b"]`}
			}
		} else {
			for item := range strings.SplitSeq(v.text, ",") {
				if item = strings.TrimSpace(item); item != "" {
					items = append(items, item)
				}
			}
		}
		*at(c) = &items
		return nil
	}
}

func boolean(at func(*lifecycle.Change) **bool) parameter {
	return func(c *lifecycle.Change, v value) error {
		b := false // an empty value in a body clears
		if v.text != "" {
			var err error
			if b, err = strconv.ParseBool(v.text); err != nil {
				return &tenancy.FieldError{Problem: "is not a boolean", Allowed: "true, false"}
			}
		}
		*at(c) = &b
		return nil
	}
}

// number reads a whole number, of which -1 means the default.
func number(at func(*lifecycle.Change) **int) parameter {
	return func(c *lifecycle.Change, v value) error {
		if v.text == "" {
			return nil
		}
		n, err := strconv.Atoi(v.text)
		if err != nil || n < -1 {
			return &tenancy.FieldError{Problem: "is not a number", Allowed: "a whole number, or -1 for the default"}
		}
		if n >= 0 {
			*at(c) = &n
		}
		return nil
	}
}

// quota reads bytes. In a query 0 means unchanged; -1 removes the quota.
func quota(c *lifecycle.Change, v value) error {
	if v.text == "" {
		c.DiskQuota = new(int64)
		return nil
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil || n < -1 {
		return &tenancy.FieldError{Problem: "is not a number of bytes", Allowed: "a whole number, or -1 for no quota"}
	}
	if n == 0 && v.raw == nil {
		return nil
	}
	n = max(n, 0)
	c.DiskQuota = &n
	return nil
}

// settings reads key:value,key:value, or an object of texts.
func settings(c *lifecycle.Change, v value) error {
	bad := &tenancy.FieldError{Problem: "is not a list of keys and values", Allowed: `"key:value,key:value" or {"key":"value"}`}
	c.Settings = map[string]string{}
	if structured(v) {
		if err := json.Unmarshal(v.raw, &c.Settings); err != nil {
			return bad
		}
		return nil
	}
	if v.text == "" {
		return nil
	}
	for item := range strings.SplitSeq(v.text, ",") {
		key, val, found := strings.Cut(item, ":")
		if key = strings.TrimSpace(key); !found || key == "" {
			return bad
		}
		c.Settings[key] = strings.TrimSpace(val)
	}
	return nil
}

func ignored(*lifecycle.Change, value) error { return nil }

// later refuses what an instance can be asked for and is not made yet, rather
// than making an instance without it.
func later(_ *lifecycle.Change, v value) error {
	if v.text == "" || v.text == "0" {
		return nil
	}
	return &apiError{status: http.StatusNotImplemented, title: "Not Implemented", detail: "apps and passphrases are not offered yet; leave Apps, Passphrase, KdfIterations and Key out"}
}

// pageNumber reads a parameter of a list's page.
func pageNumber(r *http.Request, name string) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxPage {
		return 0, &tenancy.FieldError{Field: name, Problem: "is not a number", Allowed: fmt.Sprintf("0 to %d", maxPage)}
	}
	return n, nil
}
