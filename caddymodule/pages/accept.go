// This file holds the choice of the form by the Accept header (RFC 9110, section 12.5.1).

package pages

import (
	"strings"
)

// form is what a refusal is written as.
type form uint8

const (
	formHTML form = iota
	formJSONAPI
	formJSON
	formText
)

// offers are the forms in the server's order, which decides only where the client has no preference.
var (
	offers        = []form{formHTML, formJSONAPI, formJSON, formText}
	offersNotHTML = []form{formText, formJSONAPI, formJSON}
)

var mediaTypes = [...]struct{ kind, subtype, header string }{
	formHTML:    {"text", "html", "text/html; charset=utf-8"},
	formJSONAPI: {"application", "vnd.api+json", "application/vnd.api+json"}, // JSON:API allows no charset
	formJSON:    {"application", "json", "application/json"},
	formText:    {"text", "plain", "text/plain; charset=utf-8"},
}

func (f form) contentType() string { return mediaTypes[f].header }

// maxAccept bounds the work on a header. No honest client sends a tenth of it.
const maxAccept = 4 << 10

// How closely a media range names a form. A range with parameters (other than
// q) names some variant that we don't have, and is good only where nothing
// names the form itself.
const (
	matchNone = iota
	matchAny
	matchType
	matchVariant
	matchExact
)

// standing is what the header says of one form: the weight of the range that
// names it most closely.
type standing struct {
	match, weight, order int
}

// negotiate picks the form with the highest weight. Among equals the one named
// more closely wins, then the one named earlier, as clients that send
// "application/json, text/plain, */*" mean it, then the first of offered.
// Without a header anything goes; where nothing is acceptable, text goes.
//
// Ranges that cannot be read are passed over, since one slip of a client is no
// reason to forget the rest of what it says.
func negotiate(header []string, offered []form) form {
	joined := strings.Join(header, ",")
	if strings.TrimSpace(joined) == "" {
		return offered[0]
	}
	joined = bounded(joined, maxAccept)
	var standings [len(mediaTypes)]standing
	for order := 0; joined != ""; order++ {
		var element string
		element, joined = cutOutsideQuotes(joined, ',')
		kind, subtype, plain, weight, ok := parseRange(element)
		if !ok {
			continue
		}
		for _, f := range offered {
			match := matchOf(kind, subtype, plain, f)
			s := &standings[f]
			if match > s.match || match == s.match && match != matchNone && weight > s.weight {
				*s = standing{match, weight, order}
			}
		}
	}
	best := formText
	var top standing
	for _, f := range offered {
		s := standings[f]
		switch {
		case s.weight == 0 || s.weight < top.weight:
		case s.weight > top.weight,
			s.match > top.match,
			s.match == top.match && s.order < top.order:
			best, top = f, s
		}
	}
	return best
}

func matchOf(kind, subtype string, plain bool, f form) int {
	offer := mediaTypes[f]
	switch {
	case kind == "*" && subtype == "*":
		return matchAny
	case kind != offer.kind:
		return matchNone
	case subtype == "*":
		return matchType
	case subtype != offer.subtype:
		return matchNone
	case plain:
		return matchExact
	}
	return matchVariant
}

// parseRange reads one element of an Accept header; plain means without
// parameters, the charset that we send anyway not counted. The weight is in
// thousandths.
func parseRange(element string) (kind, subtype string, plain bool, weight int, ok bool) {
	mediaRange, params := cutOutsideQuotes(element, ';')
	mediaRange = strings.ToLower(strings.TrimSpace(mediaRange))
	if mediaRange == "*" {
		mediaRange = "*/*" // Java's HttpURLConnection sends this by default
	}
	kind, subtype, found := strings.Cut(mediaRange, "/")
	if !found || kind == "" || subtype == "" || kind == "*" && subtype != "*" {
		return "", "", false, 0, false
	}
	plain, weight = true, 1000
	for params != "" {
		var param string
		param, params = cutOutsideQuotes(params, ';')
		name, value, _ := strings.Cut(param, "=")
		name = strings.TrimSpace(name)
		if strings.EqualFold(name, "q") {
			// What follows q are extensions, and no longer part of the range.
			weight, ok = parseWeight(strings.TrimSpace(value))
			return kind, subtype, plain, weight, ok
		}
		utf8 := strings.EqualFold(name, "charset") && strings.EqualFold(strings.Trim(value, ` "`), "utf-8")
		if name != "" && !utf8 {
			plain = false
		}
	}
	return kind, subtype, plain, weight, true
}

// parseWeight reads a qvalue in thousandths. It is a little kinder than RFC
// 9110, section 12.4.2: ".2" and more than three digits pass, more than 1 is 1.
func parseWeight(s string) (int, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" && fraction == "" {
		return 0, false
	}
	if !digits(whole) || !digits(fraction) {
		return 0, false
	}
	if strings.Trim(whole, "0") != "" {
		return 1000, true
	}
	weight := 0
	for i := range 3 {
		weight *= 10
		if i < len(fraction) {
			weight += int(fraction[i] - '0')
		}
	}
	return weight, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// cutOutsideQuotes cuts s at the first separator that is not in a quoted string.
func cutOutsideQuotes(s string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// bounded cuts a list header down to the elements that fit into limit bytes.
func bounded(list string, limit int) string {
	if len(list) <= limit {
		return list
	}
	list = list[:limit]
	return list[:strings.LastIndexByte(list, ',')+1]
}
