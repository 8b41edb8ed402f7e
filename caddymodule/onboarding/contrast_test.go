// This file holds the test of the colours: WCAG 2.2, level AA, computed from the style sheet.

package onboarding_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// colours reads the custom properties of the n-th :root block of the style sheet.
func colours(t *testing.T, n int) map[string]string {
	t.Helper()
	style, err := os.ReadFile("builtin/style.css")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(style), -1)
	found := make(map[string]string)
	for _, m := range regexp.MustCompile(`--([a-z-]+):\s*(#[0-9a-f]{6});`).FindAllStringSubmatch(blocks[n][1], -1) {
		found[m[1]] = m[2]
	}
	return found
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestContrast(t *testing.T) {
	t.Parallel()
	light, dark := colours(t, 0), colours(t, 1)
	if len(light) != 15 || len(dark) != len(light) {
		t.Fatalf("%d light colours, %d dark ones", len(light), len(dark))
	}
	for name, scheme := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, c := range []struct {
			ink, paper string
			least      float64 // 4.5 for text (1.4.3), 3 for what shows where to type, and how strong (1.4.11)
		}{
			{"ink", "card", 4.5}, {"soft", "card", 4.5}, {"link", "card", 4.5}, {"ink", "input", 4.5}, {"on-link", "link", 4.5},
			{"wrong", "card", 4.5}, {"wrong", "wrong-tint", 4.5}, {"border", "card", 3}, {"border", "input", 3}, {"wrong", "input", 3},
			{"weak", "card", 3}, {"fair", "card", 3}, {"good", "card", 3}, {"link", "tint", 3}, {"link", "back", 3},
		} {
			if scheme[c.ink] == "" || scheme[c.paper] == "" {
				t.Errorf("%s: no %s or %s", name, c.ink, c.paper)
				continue
			}
			a, b := luminance(t, scheme[c.ink]), luminance(t, scheme[c.paper])
			if got := (max(a, b) + 0.05) / (min(a, b) + 0.05); got < c.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, less than %.1f", name, c.ink, c.paper, got, c.least)
			}
		}
	}
}
