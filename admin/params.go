// Params: what add and modify are asked for, from a query string or a JSON body.

package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

// parameter reads a value into a Change.
type parameter func(c *lifecycle.Change, v value) error

// parameters are all by their names in the API. What has another spelling
// stands twice.
var parameters = map[string]parameter{
	"DomainAliases":      texts(func(c *lifecycle.Change) **[]string { return &c.Aliases }),
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
	"sponsorships":       texts(func(c *lifecycle.Change) **[]string { return &c.Sponsorships }),
	"Sponsorships":       texts(func(c *lifecycle.Change) **[]string { return &c.Sponsorships }),
	"feature_sets":       texts(func(c *lifecycle.Change) **[]string { return &c.FeatureSets }),
	"FeatureSets":        texts(func(c *lifecycle.Change) **[]string { return &c.FeatureSets }),
	"AutoUpdate":         boolean(func(c *lifecycle.Change) **bool { return &c.AutoUpdate }),
	"MagicLink":          boolean(func(c *lifecycle.Change) **bool { return &c.MagicLink }),
	"Blocked":            boolean(func(c *lifecycle.Change) **bool { return &c.Blocked }),
	"Deleting":           boolean(func(c *lifecycle.Change) **bool { return &c.Deleting }),
	"OnboardingFinished": boolean(func(c *lifecycle.Change) **bool { return &c.OnboardingFinished }),
	"SwiftLayout":        number(func(c *lifecycle.Change) **int { return &c.SwiftLayout }),
	"CouchCluster":       number(func(c *lifecycle.Change) **int { return &c.CouchCluster }),
	"DiskQuota":          quota,
	"Settings":           settings,
	"Trace":              noted, // a stack's debugging aid
	"FromCloudery":       noted, // says who asks; the change is the same
	"Apps":               texts(func(c *lifecycle.Change) **[]string { return &c.Apps }),
	"Passphrase":         secret(func(p *lifecycle.Passphrase) *string { return &p.Text }),
	"KdfIterations":      rounds,
	"Key":                secret(func(p *lifecycle.Passphrase) *string { return &p.Key }),
	"PublicKey":          secret(func(p *lifecycle.Passphrase) *string { return &p.PublicKey }),
	"PrivateKey":         secret(func(p *lifecycle.Passphrase) *string { return &p.PrivateKey }),
	"Send":               flag(func(c *lifecycle.Change) *bool { return &c.SendLink }),
	"IfRev":              revision,
}

// secretParameters must not be in a query that is logged, as that of Caddy's
// admin endpoint is.
var secretParameters = []string{"Passphrase", "Key", "PrivateKey"}

// blockParameters are those of who may only block.
var blockParameters = []string{"Blocked", "BlockingReason", "IfRev", "DryRun"}

// asked is what an add or a modify is asked for.
type asked struct {
	domain string // the parameter Domain, which only an add has
	change lifecycle.Change
	dryRun bool
	names  []string // of the parameters that say something, sorted
}

// readChange reads the parameters of a request.
func (h *handler) readChange(r *http.Request) (asked, error) {
	values, err := h.readValues(r)
	if err != nil {
		return asked{}, err
	}
	return changeOf(values)
}

// readValues reads the parameters of a request from its query and its body.
func (h *handler) readValues(r *http.Request) (map[string]value, error) {
	values := map[string]value{}
	query := r.URL.Query()
	for _, name := range secretParameters {
		if query.Get(name) != "" && !h.secretQueries {
			return nil, &tenancy.FieldError{Field: name, Problem: "is a secret, and the query string is logged", Allowed: "in the body, as JSON"}
		}
	}
	for name, given := range query {
		if len(given) > 1 {
			return nil, &tenancy.FieldError{Field: name, Problem: "is given more than once"}
		}
		values[name] = value{text: given[0]}
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	fromBody, err := bodyValues(body)
	if err != nil {
		return nil, err
	}
	for name, v := range fromBody {
		if old, twice := values[name]; twice && !old.empty() {
			return nil, &tenancy.FieldError{Field: name, Problem: "is given in the query string and in the body"}
		}
		values[name] = v
	}
	return values, nil
}

// bodyValues are the parameters of a JSON object.
func bodyValues(body map[string]json.RawMessage) (map[string]value, error) {
	values := make(map[string]value, len(body))
	for name, raw := range body {
		text, err := textOf(name, raw)
		if err != nil {
			return nil, err
		}
		values[name] = value{text: text, raw: raw}
	}
	return values, nil
}

// changeOf makes a Change of parameters.
func changeOf(values map[string]value) (asked, error) {
	var a asked
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		switch {
		case v.empty():
			continue
		case name == "Domain":
			a.domain = v.text
			continue
		case name == "DryRun":
			var err error
			if a.dryRun, err = truth(v); err != nil {
				return a, named(err, name)
			}
		default:
			read, known := parameters[name]
			if !known {
				return a, &tenancy.FieldError{Field: name, Problem: "is not a parameter", Allowed: "Domain, DryRun, " + strings.Join(slices.Sorted(maps.Keys(parameters)), ", ")}
			}
			if err := read(&a.change, v); err != nil {
				return a, named(err, name)
			}
		}
		a.names = append(a.names, name)
	}
	if p := a.change.Passphrase; p != nil && p.Text == "" {
		if *p != (lifecycle.Passphrase{}) {
			return a, &tenancy.FieldError{Field: "Passphrase", Problem: "is missing, and KdfIterations and keys say nothing without it"}
		}
		a.change.Passphrase = nil
	}
	return a, nil
}

// named gives an error of a field the name of its parameter.
func named(err error, name string) error {
	var field *tenancy.FieldError
	if errors.As(err, &field) && field.Field == "" {
		field.Field = name
	}
	return err
}

// revision reads the revision that a modify is for.
func revision(c *lifecycle.Change, v value) error {
	c.IfRev = v.text
	return nil
}

var errBadBody = &apiError{
	status: http.StatusBadRequest, title: "Bad Request",
	detail: "this is not a JSON object of parameters, as in {\"Domain\":\"alice.example.com\"}",
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
		return nil, errBadBody
	}
	return body, nil
}
