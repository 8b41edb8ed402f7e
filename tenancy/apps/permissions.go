// Permissions: an app's rights, from its manifest to the form that a stack keeps.

package apps

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
)

// maxRules bounds the rules of one app.
const maxRules = 500

// verbs are all that a rule can give, in the order in which a stack writes them.
var verbs = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// doctypes are those that a rule can be about; a last part of * is for all below.
var doctypes = regexp.MustCompile(`^[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*(\.\*)?$`)

// rule is one right. Without verbs it gives all of them.
type rule struct {
	Type        string   `json:"type"`
	Description string   `json:"description,omitempty"`
	Verbs       []string `json:"verbs,omitempty"`
	Selector    string   `json:"selector,omitempty"`
	Values      []string `json:"values,omitempty"`
}

// permissions reads the rules of a manifest. Unknown fields of a rule are left
// out: nobody has said what they would allow.
func permissions(raw json.RawMessage) (ordered, error) {
	rules := ordered{}
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return rules, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, malformed("its permissions are no object")
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		var r rule
		if err == nil && ok {
			err = decoder.Decode(&r)
		}
		if err != nil || !ok || seen[name] {
			return nil, malformed("one of its permissions is none, or is there twice")
		}
		seen[name] = true
		if len(rules) == maxRules {
			return nil, malformed("it has more than %d permissions", maxRules)
		}
		if r.Verbs, err = normalVerbs(r.Verbs); err != nil {
			return nil, err
		}
		if len(r.Type) > 200 || !doctypes.MatchString(r.Type) {
			return nil, malformed("one of its permissions has no type of documents")
		}
		rules = append(rules, field{name, r})
	}
	return rules, nil
}

// normalVerbs sorts verbs, each once. ALL, which no document has, is none.
func normalVerbs(given []string) ([]string, error) {
	for _, verb := range given {
		if verb != "ALL" && !slices.Contains(verbs, verb) {
			return nil, malformed("one of its permissions has an unknown verb")
		}
	}
	if slices.Contains(given, "ALL") {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(verbs), func(verb string) bool { return !slices.Contains(given, verb) }), nil
}
