// This file holds what makes foreign text fit to be shown: cleaning, bounds, and the support address.

package pages

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes s one line of text of at most limit characters. Escaping is not
// its business: each form escapes in its own way.
func clean(s string, limit int) string {
	if isClean(s) && len(s) <= limit {
		return s
	}
	// Bounded first: cleaning never makes more characters than it reads, and the
	// cut leaves room for those that it drops.
	if most := limit * utf8.UTFMax * 4; len(s) > most {
		s = s[:most]
	}
	var b strings.Builder
	count := 0
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r): // line and paragraph separators too
			space = b.Len() > 0
			continue
		case dropped(r):
			continue
		}
		need := 1
		if space {
			need = 2
		}
		if count+need > limit {
			return ellipsis(b.String(), limit)
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r) // a broken byte ranges as U+FFFD, and is written as such
		count += need
	}
	return b.String()
}

// isClean is the fast path: printable ASCII without double or outer spaces.
func isClean(s string) bool {
	last := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == ' ' && last == ' ' {
			return false
		}
		last = c
	}
	return s == "" || last != ' '
}

// dropped are the characters that steer a terminal, hide, or turn the text
// around them. The joiners that Persian and emoji need stay, and so do the
// plain direction marks, which act on themselves alone.
func dropped(r rune) bool {
	switch r {
	case '\u200c', '\u200d', '\u200e', '\u200f', '\u061c':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Noncharacter_Code_Point)
}

// ellipsis makes room for the sign that something was cut.
func ellipsis(s string, limit int) string {
	if utf8.RuneCountInString(s) >= limit {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s + "…"
}

// contact is the support address as a page shows it.
type contact struct {
	Text string // as the operator wrote it
	Href string // empty where it cannot be a link
}

// contactOf makes a link of a support address. What CheckSupport would refuse
// is shown as text.
func contactOf(support string) contact {
	href, err := supportLink(support)
	if err != nil {
		return contact{Text: support}
	}
	return contact{Text: support, Href: href}
}

// CheckSupport tells whether a support address can be shown as a link: an
// e-mail address, or an https URL with a host and without a password. The
// empty string is fine and means none.
func CheckSupport(support string) error {
	if support == "" {
		return nil
	}
	if clean(support, maxSupport) != support {
		return fmt.Errorf("the support address %q has characters that cannot be shown, or more than %d of them", support, maxSupport)
	}
	_, err := supportLink(support)
	return err
}

func supportLink(support string) (string, error) {
	if strings.Contains(support, "://") {
		u, err := url.Parse(support)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return "", fmt.Errorf("the support address %q is not an https URL", support)
		}
		if u.User != nil {
			// Not repeated: it may hold a password.
			return "", errors.New("the support address is a URL with a user in it")
		}
		return u.String(), nil
	}
	address, err := mail.ParseAddress(support)
	if err != nil || address.Address != support || address.Name != "" {
		return "", fmt.Errorf("the support address %q is neither an e-mail address nor an https URL", support)
	}
	at := strings.LastIndexByte(support, '@')
	// Escaped, lest a ? or & in it begin a subject (RFC 6068, section 2).
	return "mailto:" + url.PathEscape(support[:at]) + "@" + url.PathEscape(support[at+1:]), nil
}
