// This file holds what makes foreign text fit to be shown: bounds, and no control characters.

package onboarding

import (
	"net/url"
	"strings"
	"unicode"
)

// Bounds of texts from the instance's document, in characters.
const (
	maxName = 100
	maxHost = 262 // the display form of the longest name, and a port
)

// clean makes s one line of at most limit characters. Escaping is the templates' business.
func clean(s string, limit int) string {
	if most := 16 * limit; len(s) > most {
		s = s[:most]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
			return -1
		}
		return r
	}, s)
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > limit {
		runes = append(runes[:limit-1], '…')
	}
	return string(runes)
}

// contact is the support address as a page shows it.
type contact struct{ Text, Href string }

// contactOf makes a link of an address that pages.CheckSupport finds good.
func contactOf(support string) *contact {
	if support == "" {
		return nil
	}
	if strings.Contains(support, "://") {
		return &contact{support, support}
	}
	at := strings.LastIndexByte(support, '@')
	// Escaped, lest a ? or & in it begin a subject (RFC 6068, section 2).
	return &contact{support, "mailto:" + url.PathEscape(support[:at]) + "@" + url.PathEscape(support[at+1:])}
}
