// Selector: the normal form that CouchDB stores of an index's filter.

package embedded

import "strings"

// normalSelector brings a filter into the form that CouchDB stores: conditions of
// several fields under an $and, bare values under an $eq, nested fields joined
// by dots. It does not move negations inwards as Mango does: nothing here
// evaluates the result, and CouchDB does it again where it does.
func normalSelector(selector []byte) ([]byte, error) {
	if selector[0] != '{' {
		return nil, errSelector(selector)
	}
	if string(selector) == "{}" {
		return selector, nil
	}
	return normalCondition("", selector), nil
}

// normalCondition writes the condition of a field, "" at the top.
func normalCondition(field string, value []byte) []byte {
	if value[0] != '{' || string(value) == "{}" {
		return onField(field, append(append([]byte(`{"$eq":`), value...), '}'))
	}
	var parts [][]byte
	for m := range members(value) {
		parts = append(parts, normalPart(field, m))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return operator("$and", parts)
}

// normalPart writes one member of a condition: an operator, or a field within.
func normalPart(field string, m member) []byte {
	switch {
	case m.name == "$and" || m.name == "$or" || m.name == "$nor":
		if m.value[0] != '[' {
			break
		}
		var parts [][]byte
		for e := range elements(m.value) {
			parts = append(parts, normalCondition(field, e))
		}
		return operator(m.name, parts)
	case m.name == "$not":
		return setMember([]byte("{}"), m.name, normalCondition(field, m.value))
	case !strings.HasPrefix(m.name, "$"):
		if field != "" {
			field += "."
		}
		return normalCondition(field+m.name, m.value)
	}
	return onField(field, append(append([]byte{'{'}, m.raw...), '}'))
}

// onField puts an operator under its field.
func onField(field string, condition []byte) []byte {
	if field == "" {
		return condition
	}
	return setMember([]byte("{}"), field, condition)
}

// operator writes one that takes a list.
func operator(name string, parts [][]byte) []byte {
	list := []byte{'['}
	for i, part := range parts {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, part...)
	}
	return setMember([]byte("{}"), name, append(list, ']'))
}
