// This file holds the choice of the form by the Accept header (RFC 9110, section 12.5.1).

package onboarding

import (
	"strings"

	"github.com/elnormous/contenttype"
)

// form is what an answer is written as.
type form int

const (
	formHTML form = iota
	formJSONAPI
	formJSON
	formText
)

// contentTypes are the forms in the order in which they are offered; JSON:API allows no charset.
var contentTypes = [...]string{
	formHTML:    "text/html; charset=utf-8",
	formJSONAPI: "application/vnd.api+json",
	formJSON:    "application/json",
	formText:    "text/plain; charset=utf-8",
}

func (f form) contentType() string { return contentTypes[f] }

var offers = func() (all []contenttype.MediaType) {
	for _, t := range contentTypes {
		mime, _, _ := strings.Cut(t, ";")
		all = append(all, contenttype.NewMediaType(mime))
	}
	return all
}()

// maxAccept bounds the work on a header. No honest client sends a tenth of it.
const maxAccept = 4 << 10

// negotiate picks the form that a client would rather have. Without a header
// that is HTML; where nothing fits, or the header cannot be read, text.
func negotiate(header []string) form {
	joined := strings.Join(header, ",")
	if strings.TrimSpace(joined) == "" {
		return formHTML
	}
	if len(joined) > maxAccept {
		joined = joined[:maxAccept]
		joined = joined[:max(strings.LastIndexByte(joined, ','), 0)]
	}
	chosen, _, err := contenttype.GetAcceptableMediaTypeFromHeader(joined, offers)
	if err != nil {
		return formText
	}
	for f, offer := range offers {
		if offer.Equal(chosen) {
			return form(f)
		}
	}
	return formText
}
