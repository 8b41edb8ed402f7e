// This file holds the words that somebody who knows the site would try first.

package onboarding

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the words of one instance.
const (
	minWord  = 3  // characters
	maxWord  = 64 // characters
	maxWords = 16
)

// words are the parts of the site's name, and of its owner's, in lower case; the
// longest first. The last label of the domain is none: too much has "com" in it.
func words(inst Instance) []string {
	host, _, _ := strings.Cut(inst.Domain, ":")
	labels := strings.FieldsFunc(host, func(r rune) bool { return r == '.' || r == '-' })
	if len(labels) > 1 {
		labels = labels[:len(labels)-1]
	}
	names := strings.FieldsFunc(inst.PublicName, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	all := slices.Concat([]string{host, strings.Join(names, "")}, labels, names)
	for i, word := range all {
		all[i] = string(fold(word))
	}
	all = slices.DeleteFunc(all, func(word string) bool {
		n := utf8.RuneCountInString(word)
		return n < minWord || n > maxWord
	})
	slices.SortStableFunc(all, func(a, b string) int { return utf8.RuneCountInString(b) - utf8.RuneCountInString(a) })
	all = slices.Compact(all)
	return all[:min(len(all), maxWords)]
}
