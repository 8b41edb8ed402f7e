// This file holds the test of the colours: WCAG 2.2, level AA, computed from the style sheet.

package pages_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
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

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func TestContrast(t *testing.T) {
	light := colours(t, 0)
	dark := colours(t, 1)
	if len(light) != 16 || len(dark) != len(light) {
		t.Fatalf("%d light colours, %d dark ones", len(light), len(dark))
	}
	printed := colours(t, 2)
	for name, scheme := range map[string]map[string]string{"light": light, "dark": dark, "print": printed} {
		check := func(ink, paper string, least float64) {
			t.Helper()
			if scheme[ink] == "" || scheme[paper] == "" {
				t.Errorf("%s: no %s or %s", name, ink, paper)
				return
			}
			if got := contrast(t, scheme[ink], scheme[paper]); got < least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, less than %.1f", name, ink, paper, got, least)
			}
		}
		for _, ink := range []string{"ink", "soft", "link"} {
			check(ink, "card", 4.5)
			check(ink, "back", 4.5)
		}
		if name == "print" {
			continue
		}
		for _, kind := range []string{"payment", "blocked", "deleting", "unknown", "moving"} {
			check(kind, kind+"-tint", 4.5) // 3 would do for a mark
		}
	}
	if luminance(t, light["card"]) < 0.8 || luminance(t, dark["card"]) > 0.05 {
		t.Error("the light scheme is not light, or the dark one not dark")
	}
}

// Colours are named once, so that the test above sees all of them.
func TestColoursStandInTheRootAlone(t *testing.T) {
	style, err := os.ReadFile("builtin/style.css")
	if err != nil {
		t.Fatal(err)
	}
	rest := regexp.MustCompile(`(?s):root \{.*?\}`).ReplaceAllString(string(style), "")
	if found := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(|oklch\(|opacity`).FindString(rest); found != "" {
		t.Errorf("%s outside :root", found)
	}
	if strings.Contains(rest, "animation") || strings.Contains(rest, "transition") {
		t.Error("something moves")
	}
}
