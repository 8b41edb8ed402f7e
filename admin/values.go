// Values: from the text or the JSON of one parameter to a field of a Change.

package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
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

func texts(at func(*lifecycle.Change) **[]string) parameter {
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
		b, err := truth(v) // an empty value in a body clears
		if err != nil {
			return err
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

// flag reads a boolean that says how a request is to be done.
func flag(at func(*lifecycle.Change) *bool) parameter {
	return func(c *lifecycle.Change, v value) (err error) {
		*at(c), err = truth(v)
		return err
	}
}

// truth reads a boolean; an empty value is false.
func truth(v value) (bool, error) {
	if v.text == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(v.text)
	if err != nil {
		return false, &tenancy.FieldError{Problem: "is not a boolean", Allowed: "true, false"}
	}
	return b, nil
}

// noted reads a boolean that changes nothing.
func noted(_ *lifecycle.Change, v value) error {
	_, err := truth(v)
	return err
}

// secret reads a part of a passphrase, of which an empty one is none.
func secret(at func(*lifecycle.Passphrase) *string) parameter {
	return func(c *lifecycle.Change, v value) error {
		if structured(v) {
			return &tenancy.FieldError{Problem: "is not a text"}
		}
		if v.text != "" {
			*at(passphraseOf(c)) = v.text
		}
		return nil
	}
}

// rounds reads KdfIterations, of which 0 is the default.
func rounds(c *lifecycle.Change, v value) error {
	n, err := strconv.Atoi(v.text)
	if v.text != "" && (err != nil || n < 0) {
		return &tenancy.FieldError{Problem: "is not a number", Allowed: "50000 to 5000000, or 0 for the default"}
	}
	if n != 0 {
		passphraseOf(c).KDFIterations = n
	}
	return nil
}

func passphraseOf(c *lifecycle.Change) *lifecycle.Passphrase {
	if c.Passphrase == nil {
		c.Passphrase = new(lifecycle.Passphrase)
	}
	return c.Passphrase
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
