// This file holds the test that the script judges a password as the server does.

package onboarding_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
)

// TestInABrowserTheScriptJudgesAsTheServer: the two estimates are the same, for
// passwords of every sort.
func TestInABrowserTheScriptJudgesAsTheServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.set(func(s *site) {
		s.inst.Domain, s.inst.PublicName = "élodie-1984.example.com:8443", "Élodie Ångström"
	})
	passwords := append(slices.Clone(known),
		"ÉLODIE!!", "elodie-1984.example", "Ångström2024", "9ngström angstrom", "example1984example")
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"password", "p4ssw0rd", "qwerty", "élodie", "1l0v3y0u", "2024", "1984", "aaaa", "abcd", "9876", "kettle", "Orbit", "X", "ß", "İ", "Σ", "Dž", "あ", "猫", "🔑", "👩\u200d🚀", " ", "-", "!", "~", "@", "0", "7", "\u007f", "\u0080", "q", "Z"}
	for range 400 {
		var b strings.Builder
		for range 1 + random.IntN(7) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		passwords = append(passwords, b.String())
	}
	for range 100 {
		b := make([]byte, 6+random.IntN(140))
		for i := range b {
			b[i] = ' ' + byte(random.IntN(95))
		}
		passwords = append(passwords, string(b))
	}
	v := open(t, s)
	v.do(chromedp.Navigate(s.link()))
	list, err := json.Marshal(passwords)
	if err != nil {
		t.Fatal(err)
	}
	got := evaluate[[]string](v, `(() => {
		const input = document.getElementById("passphrase"), meter = document.getElementById("meter");
		return `+string(list)+`.map(password => {
			input.value = password;
			input.dispatchEvent(new Event("input"));
			return input.value === password ? meter.dataset.score || "0" : "changed";
		});
	})()`)
	counts := map[int]int{}
	for i, p := range passwords {
		want := onboarding.Strength(p, s.inst)
		counts[want]++
		if got[i] != fmt.Sprint(want) {
			t.Errorf("%q: the script says %s, the server %d", p, got[i], want)
		}
	}
	for level := range 5 {
		if counts[level] < 5 {
			t.Errorf("only %d of the passwords are of level %d", counts[level], level)
		}
	}
	v.silent()
}
