// Answer: what a receiver says, made fit for an error and for a log.

package hooks

import (
	"encoding/json"
	"mime"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxSaid bounds what is repeated of a receiver's words, in characters.
	maxSaid = 200
	// minKept is the length from which a value in a link's query can be a secret.
	minKept = 8
)

// said is the first line of an answer: the field `error`, or its `message`, of a
// JSON object, or plain text. Other forms say nothing. What must be kept is left
// out: a receiver may repeat what it was sent.
func said(contentType string, body []byte, keep []string) string {
	media, _, _ := mime.ParseMediaType(contentType)
	var text string
	switch {
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		text = jsonError(body)
	case media == "text/plain", media == "":
		text = string(body)
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		// Besides control characters, those that make a terminal or an editor show
		// something else than there is.
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, text))
	// Before it is cut, which could leave a part of it.
	for _, secret := range keep {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	if runes := []rune(text); len(runes) > maxSaid {
		text = string(runes[:maxSaid])
	}
	return text
}

func jsonError(body []byte) string {
	var object struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &object) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(object.Error, &text) == nil {
		return text
	}
	var inner struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(object.Error, &inner) // without one, nothing is said
	return inner.Message
}

// kept are the strings that no error may hold: the secrets, the link, and what of
// a link opens the door also where it is written otherwise.
func kept(link, secret string) []string {
	var out []string
	if link != "" {
		out = append(out, link)
		if u, err := url.Parse(link); err == nil {
			for _, values := range u.Query() {
				for _, v := range values {
					if len(v) >= minKept {
						out = append(out, v)
					}
				}
			}
		}
	}
	for _, s := range strings.Fields(secret) {
		out = append(out, s, strings.TrimRight(strings.TrimPrefix(s, secretText), "="))
	}
	return out
}
