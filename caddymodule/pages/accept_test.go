// This file holds the tests of the choice of form, with the Accept headers that real clients send.

package pages_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/elnormous/contenttype"
	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
)

const (
	typeHTML    = "text/html; charset=utf-8"
	typeText    = "text/plain; charset=utf-8"
	typeJSONAPI = "application/vnd.api+json"
	typeJSON    = "application/json"
)

func TestAcceptChoosesTheForm(t *testing.T) {
	s := builtIn(t)
	for _, c := range []struct {
		name   string
		accept []string
		want   string
	}{
		{"none", nil, typeHTML},
		{"empty", []string{""}, typeHTML},
		{"curl, fetch, wget", []string{"*/*"}, typeHTML},
		{"Chrome, navigation", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"}, typeHTML},
		{"Firefox, navigation", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/png,image/svg+xml,*/*;q=0.8"}, typeHTML},
		{"Safari, navigation", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, typeHTML},
		{"Chrome, image", []string{"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}, typeHTML},
		{"Firefox, style sheet", []string{"text/css,*/*;q=0.1"}, typeHTML},
		{"axios", []string{"application/json, text/plain, */*"}, typeJSON},
		{"jQuery", []string{"application/json, text/javascript, */*; q=0.01"}, typeJSON},
		{"Java's HttpURLConnection", []string{"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}, typeHTML},
		{"EventSource", []string{"text/event-stream"}, typeText},
		{"cozy-client", []string{"application/vnd.api+json"}, typeJSONAPI},
		{"JSON:API with a profile", []string{`application/vnd.api+json;profile="https://example.com/a,b;q=0"`}, typeJSONAPI},
		{"a charset", []string{"application/json; charset=utf-8"}, typeJSON},
		{"any text", []string{"text/*"}, typeHTML},
		{"any application", []string{"application/*"}, typeJSONAPI},
		{"weights", []string{"text/html;q=0.3, application/json;q=0.31"}, typeJSON},
		{"weights of three digits", []string{"text/html;q=0.999, text/plain;q=0.998"}, typeHTML},
		{"several lines", []string{"text/html;q=0.1", "text/plain"}, typeText},
		{"capitals", []string{"APPLICATION/JSON;Q=0.9, Text/HTML;Q=0.1"}, typeJSON},
		{"q=0 refuses", []string{"text/html;q=0, */*"}, typeJSONAPI},
		{"q=0 refuses a type", []string{"text/*;q=0, */*;q=0.1"}, typeJSONAPI},
		{"the closer range counts, wherever it stands", []string{"*/*;q=1, text/*;q=0.2, text/plain;q=0.9, application/*;q=0"}, typeText},
		{"a parameter that we do not have", []string{"text/html;level=1, text/html;q=0.2, text/plain;q=0.5"}, typeText},
		{"extensions after q", []string{"text/html;q=0.5;level=1, text/plain;q=0.4"}, typeHTML},
		{"a tie goes to the one named", []string{"*/*, application/json"}, typeJSON},
		{"a tie goes to the first named", []string{"text/plain, text/html"}, typeText},
		{"nothing fits", []string{"image/png"}, typeText},
		{"nothing at all", []string{"*/*;q=0"}, typeText},
		{"nonsense", []string{";;;,=,q=1"}, typeText},
		{"nonsense and sense", []string{"/, text/html;q=x, application/json;q=0.1"}, typeJSON},
		{"empty elements", []string{", ,application/json,,"}, typeJSON},
		{"an open quote", []string{`text/html;a="b, application/json`}, typeHTML},
		{"very long", []string{"text/plain," + strings.Repeat("image/x,", 100_000) + "text/html"}, typeText},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			for _, line := range c.accept {
				headers = append(headers, "Accept", line)
			}
			w := ask(t, s, pages.Refusal{Code: pages.PaymentFailed}, headers...)
			if got := w.Header().Get("Content-Type"); got != c.want {
				t.Errorf("Content-Type %q, want %q", got, c.want)
			}
			if w.Code != http.StatusPaymentRequired {
				t.Errorf("status %d", w.Code)
			}
		})
	}
}

// An independent reading of RFC 9110 must find the same weight for what was chosen.
func TestAcceptAgreesWithAnotherReader(t *testing.T) {
	s := builtIn(t)
	available := []contenttype.MediaType{
		contenttype.NewMediaType("text/html"), contenttype.NewMediaType(typeJSONAPI),
		contenttype.NewMediaType(typeJSON), contenttype.NewMediaType("text/plain"),
	}
	ranges := []string{"text/html", "text/plain", typeJSON, typeJSONAPI, "text/*", "application/*", "*/*", "image/png"}
	rapid.Check(t, func(rt *rapid.T) {
		// Distinct, since RFC 9110 does not say what a range that stands twice means.
		chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(ranges), 1, len(ranges), rapid.ID[string]).Draw(rt, "ranges")
		weights := make(map[string]int)
		var elements []string
		for _, r := range chosen {
			q := rapid.IntRange(0, 1000).Draw(rt, "q")
			weights[r] = q
			elements = append(elements, fmt.Sprintf("%s;q=%d.%03d", r, q/1000, q%1000))
		}
		header := strings.Join(elements, ", ")
		weightOf := func(mediaType string) int {
			kind, _, _ := strings.Cut(mediaType, "/")
			for _, r := range []string{mediaType, kind + "/*", "*/*"} {
				if q, ok := weights[r]; ok {
					return q
				}
			}
			return 0
		}
		got, _, _ := strings.Cut(ask(t, s, pages.Refusal{}, "Accept", header).Header().Get("Content-Type"), ";")
		want, _, err := contenttype.GetAcceptableMediaTypeFromHeader(header, available)
		switch {
		case err != nil && got != "text/plain":
			rt.Fatalf("%s: %s, but nothing is acceptable (%v)", header, got, err)
		case err == nil && weightOf(got) != weightOf(want.MIME()):
			rt.Fatalf("%s: %s (%d), the library says %s (%d)", header, got, weightOf(got), want.MIME(), weightOf(want.MIME()))
		}
	})
}
