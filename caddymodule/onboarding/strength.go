// This file holds the estimate of how hard a password is to guess, and what is refused of it.

package onboarding

import (
	_ "embed"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
)

// Codes of passwords that are not taken.
const (
	passwordEmpty   = "PASSWORD_EMPTY"
	passwordShort   = "PASSWORD_SHORT"
	passwordLong    = "PASSWORD_LONG"
	passwordCommon  = "PASSWORD_COMMON"
	passwordSite    = "PASSWORD_SITE"
	passwordEasy    = "PASSWORD_EASY"
	passwordRefused = "PASSWORD_REFUSED" // by the control plane, or it is no text
	passwordDiffers = "PASSWORD_DIFFERS"
	formExpired     = "FORM_EXPIRED"
)

// minLength is the shortest password, in characters.
const minLength = 8

// levels of strength: 0 is refused.
const levels = 5

// thresholds are the least estimates of the levels from 1, in tenths of bits.
var thresholds = [levels - 1]int{250, 360, 500, 700}

//go:embed builtin/common.txt
var commonFile string

// common are the passwords, and the words in them, that are tried first; the longest first.
var common = func() []string {
	list := strings.Fields(commonFile)
	slices.SortStableFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}()

// maxEstimated bounds the work, in characters. What is longer is judged by its
// beginning.
const maxEstimated = 128

// judge tells why a password is not taken: one of the codes, or "".
// words are those that somebody who knows the site tries first.
func judge(password string, words []string) string {
	n := utf8.RuneCountInString(password)
	switch {
	case password == "":
		return passwordEmpty
	case len(password) > passphrase.MaxLength:
		return passwordLong
	case !utf8.ValidString(password):
		return passwordRefused
	case n < minLength:
		return passwordShort
	}
	if strength(password, words) > 0 {
		return ""
	}
	// Why it is easy: it is a known word, perhaps in disguise, with digits and
	// signs around it or without.
	folded := fold(password)
	core := []rune(strings.TrimFunc(string(folded), func(r rune) bool { return !unicode.IsLetter(r) }))
	for _, variant := range slices.Concat(variants(folded), variants(core)) {
		switch {
		case slices.Contains(common, string(variant)):
			return passwordCommon
		case slices.Contains(words, string(variant)):
			return passwordSite
		}
	}
	return passwordEasy
}

// Strength is the level, from 0 (refused) to 4, that the page gives a password of
// an instance's owner, shown while it is typed.
func Strength(password string, inst Instance) int { return strength(password, words(inst)) }

// strength is a level from 0 to 4. The estimate takes every known word, year,
// run (aaaa, 4321) and repetition for one or two characters, and the rest for
// what people choose, not for what dice do, so that it errs on the low side.
// builtin/script.js has the same rules, and a test compares them.
func strength(password string, words []string) int {
	text := []rune(password)
	if len(text) > maxEstimated {
		text = text[:maxEstimated]
	}
	if len(text) < minLength {
		return 0
	}
	count, kept := effective(text, words)
	estimate := count * bitsEach(text, kept)
	level := 0
	for level < len(thresholds) && estimate >= thresholds[level] {
		level++
	}
	return level
}

// effective is the number of characters that are hard to tell from the others;
// kept tells which of them belong to no word, so that their kinds count.
func effective(text []rune, words []string) (count int, kept []bool) {
	folded := fold(string(text))
	folded = folded[:periodOf(folded)]
	n := len(folded)
	taken := make([]bool, n)
	take := func(from, length int) {
		if slices.Contains(taken[from:from+length], true) {
			return
		}
		for i := range length {
			taken[from+i] = true
		}
		count++
	}
	for _, list := range [][]string{words, common} {
		for _, variant := range variants(folded) {
			for _, word := range list {
				w := []rune(word)
				for i := 0; i+len(w) <= n; i++ {
					if slices.Equal(variant[i:i+len(w)], w) {
						take(i, len(w))
					}
				}
			}
		}
	}
	for i := 0; i+4 <= n; i++ {
		if c := string(folded[i : i+2]); (c == "19" || c == "20") && digit(folded[i+2]) && digit(folded[i+3]) {
			take(i, 4)
		}
	}
	kept = make([]bool, n)
	for i := range n {
		if taken[i] || folded[i] == ' ' {
			continue
		}
		run := false
		if i >= 2 && !taken[i-1] && !taken[i-2] {
			step := folded[i] - folded[i-1]
			run = step == folded[i-1]-folded[i-2] && step >= -1 && step <= 1
		}
		if !run {
			count++
			kept[i] = true
		}
	}
	return count, kept
}

// periodOf is the length of what a text is repetitions of; its own where it is none.
func periodOf(text []rune) int {
	for p := 1; p <= len(text)/2; p++ {
		if slices.Equal(text[p:], text[:len(text)-p]) {
			return p
		}
	}
	return len(text)
}

// bitsEach is what one character adds, in tenths of bits, by the kinds of those
// that are kept. A capital at the beginning, and digits and signs at the end,
// are where everybody has them, and count for nothing.
func bitsEach(text []rune, kept []bool) int {
	start, end := 0, len(kept)
	if unicode.IsUpper(text[0]) {
		start = 1
	}
	for end > start && (digit(text[end-1]) || sign(text[end-1])) {
		end--
	}
	if end == start {
		start, end = 0, len(kept)
	}
	var kinds [5]bool
	for i := start; i < end; i++ {
		r := text[i]
		switch {
		case !kept[i]:
		case r > unicode.MaxASCII:
			kinds[0] = true
		case digit(r):
			kinds[1] = true
		case 'a' <= r && r <= 'z':
			kinds[2] = true
		case 'A' <= r && r <= 'Z':
			kinds[3] = true
		case sign(r):
			kinds[4] = true
		}
	}
	n := 0
	for _, has := range kinds {
		if has {
			n++
		}
	}
	switch {
	case n > 3:
		return 50
	case n == 3:
		return 45
	case n == 2 || kinds[0] || kinds[4]:
		return 40
	case kinds[1]:
		return 33
	}
	return 30
}

func digit(r rune) bool { return '0' <= r && r <= '9' }

// sign is printable ASCII that is no letter, digit or space.
func sign(r rune) bool {
	return r > ' ' && r < 0x7f && !digit(r) && (r|0x20 < 'a' || r|0x20 > 'z')
}

// fold is a text in lower case, character by character, as the script does it.
func fold(s string) []rune {
	text := []rune(s)
	for i, r := range text {
		text[i] = unicode.ToLower(r)
	}
	return text
}

// leet are digits and signs that stand for letters; 1 stands for either of two.
var leet = map[rune]rune{'0': 'o', '3': 'e', '4': 'a', '5': 's', '7': 't', '@': 'a', '$': 's', '!': 'i', '1': 'i'}

// variants are a folded text, and what it reads as.
func variants(text []rune) [][]rune {
	out := [][]rune{text, make([]rune, len(text)), make([]rune, len(text))}
	for i, r := range text {
		plain, ok := leet[r]
		if !ok {
			plain = r
		}
		out[1][i], out[2][i] = plain, plain
		if r == '1' {
			out[2][i] = 'l'
		}
	}
	return out
}
