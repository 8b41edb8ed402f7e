// This file holds the choice of the language, and the texts that each language has.

package pages

import (
	"strings"
	"sync"

	"github.com/gatehouse-edge/gatehouse/internal/recent"
	"golang.org/x/text/language"
)

// message is what a page says of one code.
type message struct{ Title, Detail, Advice string }

// labels are the words around the facts on a page.
type labels struct{ Address, Reason, Support, Code string }

// texts is one language, every message resolved: nothing is looked up in a
// bundle while a request waits.
type texts struct {
	lang     string // BCP 47
	dir      string // ltr, rtl
	labels   labels
	messages map[string]message // by code, and BLOCKED
}

// languages are the languages of a Set. The first is English, the last resort.
type languages struct {
	texts   []*texts
	matcher language.Matcher
	byName  map[string]int // the short way for locales that are written as ours are

	mu     sync.Mutex
	wanted *recent.Memory[string, int] // by Accept-Language
}

func newLanguages(tags []language.Tag, all []*texts) *languages {
	l := &languages{texts: all, matcher: language.NewMatcher(tags), byName: make(map[string]int), wanted: recent.New[string, int](maxHeaders)}
	for i, t := range all {
		l.byName[t.lang] = i
	}
	return l
}

// maxAcceptLanguage bounds the work on a header; browsers send some 50 bytes.
const maxAcceptLanguage = 512

// pick gives the index of the language, and whether the instance's locale
// decided it, so that the answer does not vary with Accept-Language.
func (l *languages) pick(locale string, header []string) (index int, decided bool) {
	if i, ok := l.byName[locale]; ok {
		return i, true
	}
	if i, ok := l.match(locale); ok {
		return i, true
	}
	joined := bounded(strings.Join(header, ","), maxAcceptLanguage)
	if joined == "" {
		return 0, false
	}
	l.mu.Lock()
	index, known := l.wanted.Get(joined)
	l.mu.Unlock()
	if !known {
		index = l.read(joined)
		l.mu.Lock()
		l.wanted.Put(joined, index)
		l.mu.Unlock()
	}
	return index, false
}

// read gives the language that an Accept-Language header field asks for: English, where
// there is none of these.
func (l *languages) read(joined string) (index int) {
	tags, _, err := language.ParseAcceptLanguage(joined)
	if err != nil || len(tags) == 0 {
		return 0
	}
	_, i, confidence := l.matcher.Match(tags...)
	if confidence == language.No {
		return 0
	}
	return i
}

// match finds an instance's locale, also as POSIX writes it (fr_FR.UTF-8). Only a
// sure match counts: that Catalans often read Spanish is a guess,
// and the visitor's browser knows better.
func (l *languages) match(locale string) (int, bool) {
	if locale == "" || len(locale) > 64 {
		return 0, false
	}
	if end := strings.IndexAny(locale, ".@"); end >= 0 {
		locale = locale[:end]
	}
	tag, err := language.Parse(locale)
	if err != nil {
		return 0, false
	}
	_, i, confidence := l.matcher.Match(tag)
	return i, confidence >= language.High
}

// direction of a language's usual script.
func direction(tag language.Tag) string {
	script, _ := tag.Script()
	switch script.String() {
	case "Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg":
		return "rtl"
	}
	return "ltr"
}
