// Compare: whether a design document in a store is the one that is to be there.

package provision

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
)

// IsMango tells Mango indexes from views.
func IsMango(design json.RawMessage) bool {
	var head struct {
		Language string `json:"language"`
	}
	return json.Unmarshal(design, &head) == nil && head.Language == "query"
}

// SameDesign tells whether a stored design document does what want does, and gives
// its revision. A Mango index is the same where it has the same fields in the same
// order, and the same filter, however a CouchDB has written the rest.
func SameDesign(want, stored json.RawMessage) (same bool, rev json.RawMessage) {
	var now map[string]json.RawMessage
	if err := json.Unmarshal(stored, &now); err != nil {
		return false, nil
	}
	rev = now["_rev"]
	if IsMango(want) {
		a, aFilter := mangoFields(want)
		b, bFilter := mangoFields(stored)
		return IsMango(stored) && len(a) > 0 && slices.Equal(a, b) && reflect.DeepEqual(aFilter, bFilter), rev
	}
	var expected map[string]json.RawMessage
	if err := json.Unmarshal(want, &expected); err != nil {
		return false, rev
	}
	var a, b any
	if json.Unmarshal(expected["views"], &a) != nil || json.Unmarshal(now["views"], &b) != nil {
		return false, rev
	}
	return reflect.DeepEqual(a, b), rev
}

// mangoFields are the fields of an index in their order, and its partial filter,
// nil for none.
func mangoFields(design json.RawMessage) (fields []string, filter any) {
	var doc struct {
		Views map[string]struct {
			Map struct {
				Fields json.RawMessage `json:"fields"`
				Filter json.RawMessage `json:"partial_filter_selector"`
			} `json:"map"`
		} `json:"views"`
	}
	if json.Unmarshal(design, &doc) != nil || len(doc.Views) != 1 {
		return nil, nil
	}
	for _, view := range doc.Views {
		fields = order(view.Map.Fields)
		if f := bytes.TrimSpace(view.Map.Filter); len(f) > 0 && string(f) != "{}" {
			_ = json.Unmarshal(f, &filter) // it was read as JSON above
		}
	}
	return fields, filter
}

// order are the keys of an object as they stand; a map would lose it.
func order(object json.RawMessage) []string {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var out []string
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil
		}
		out = append(out, name+" "+string(bytes.TrimSpace(value)))
	}
	return out
}
