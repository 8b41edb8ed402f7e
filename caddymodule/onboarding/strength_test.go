// This file holds the tests of the estimate: what people choose, and what dice do.

package onboarding_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
)

var levels = []struct {
	password string
	want     int
}{
	{"", 0}, {"kettle7", 0}, {"password", 0}, {"passwordpassword", 0}, {"Password123!", 0}, {"pa55w0rd", 0},
	{"12345678", 0}, {"87654321", 0}, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0}, {"abababababababab", 0}, {"abcdefghijkl", 0},
	{"qwertzuiop", 0}, {"azerty2026", 0}, {"iloveyou2024", 0}, {"Summer2026!", 0}, {"alicemartin", 0}, {"AliceMartin1984", 0},
	{"example.com", 0}, {"alice@example", 0}, {"motdepasse!", 0}, {"        ", 0}, {"1qaz2wsx", 0},
	{"83749264", 1}, {"ilikemydog", 1}, {"kettle orbit", 1},
	{"kettle-orbit", 2}, {"Tr0ub4dor&3", 2}, {"xq7pmv3rk", 2},
	{"kettle orbit seldom", 3}, {"x7Qp9vLz2aKf", 3},
	{"correct horse battery staple", 3},
	{"kettle orbit seldom vinegar", 4}, {"x7#Qp9!vLz2@aKf4", 4}, {"ながいながいひみつのことばをつかう", 3},
	{strings.Repeat("kettle orbit seldom ", 50), 3}, // no better than once
	{strings.Repeat("é", 1000), 0},
}

// known are the passwords of the table.
var known = func() (all []string) {
	for _, l := range levels {
		all = append(all, l.password)
	}
	return all
}()

func TestStrength(t *testing.T) {
	t.Parallel()
	for _, l := range levels {
		if got := onboarding.Strength(l.password, alice); got != l.want {
			t.Errorf("%.40q: %d, want %d", l.password, got, l.want)
		}
	}
}

// TestStrengthOfTheSitesOwnWords: a name that says nothing elsewhere is known here.
func TestStrengthOfTheSitesOwnWords(t *testing.T) {
	t.Parallel()
	const name = "wolfeschlegelsteinhausen"
	bob := onboarding.Instance{Domain: name + ".example:8080"}
	if got := onboarding.Strength(name, alice); got != 4 {
		t.Errorf("elsewhere: %d", got)
	}
	for _, password := range []string{name, strings.ToUpper(name) + "99", "W0lf3schl3g3lst3inhaus3n!"} {
		if got := onboarding.Strength(password, bob); got != 0 {
			t.Errorf("%s: %d", password, got)
		}
	}
	bob = onboarding.Instance{Domain: "b.example", PublicName: strings.Repeat("Wolfe schlegel steinhausen ", 1000)}
	if got := onboarding.Strength("Schlegel-Steinhausen", bob); got != 0 {
		t.Errorf("of a name of many words: %d", got)
	}
}

// FuzzStrength: whatever is typed has a level.
func FuzzStrength(f *testing.F) {
	for _, l := range levels {
		f.Add(l.password, alice.PublicName)
	}
	f.Add("\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", "\xff\xff\xff")
	f.Fuzz(func(t *testing.T, password, name string) {
		if got := onboarding.Strength(password, onboarding.Instance{Domain: "alice.example", PublicName: name}); got < 0 || got > 4 {
			t.Errorf("%d", got)
		}
	})
}

// One for each form that brings a password.
func BenchmarkStrength(b *testing.B) {
	for name, password := range map[string]string{"usual": "kettle orbit seldom", "longest": strings.Repeat("p4ssw0r", 146)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				onboarding.Strength(password, alice)
			}
		})
	}
}
