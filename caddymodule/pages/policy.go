// This file holds the Content-Security-Policy of the pages, and the check that a page keeps to it.

package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// policy allows the one style sheet by its hash, and data: images and fonts
// only where a file has some.
func policy(files map[string]string) string {
	var b strings.Builder
	b.WriteString("default-src 'none'")
	if style := files[styleFile]; style != "" {
		sum := sha256.Sum256([]byte(style))
		b.WriteString("; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
	}
	image, font := false, false
	for name, content := range files {
		if name != textFile {
			image = image || strings.Contains(content, "data:image/")
			font = font || strings.Contains(content, "data:font/")
		}
	}
	if image {
		b.WriteString("; img-src data:")
	}
	if font {
		b.WriteString("; font-src data:")
	}
	b.WriteString("; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	return b.String()
}

var outside = regexp.MustCompile(`(?i)@import|url\(\s*["']?\s*[^"'\s]{0,12}`)

// checkStyle refuses what would end the style element, and what the policy would block.
func checkStyle(style string) error {
	if i := strings.Index(strings.ToLower(style), "</style"); i >= 0 {
		return fmt.Errorf("%s:%d: </style must not occur in a style sheet", styleFile, lineAt(style, i))
	}
	for _, at := range outside.FindAllStringIndex(style, -1) {
		found := strings.ToLower(style[at[0]:at[1]])
		address := strings.TrimLeft(strings.TrimPrefix(found, "url("), " \t\n\"'")
		if strings.HasPrefix(address, "data:image/") || strings.HasPrefix(address, "data:font/") || strings.HasPrefix(address, "#") {
			continue
		}
		return fmt.Errorf("%s:%d: %s: pages load nothing from outside, write it as data:image/… or data:font/…", styleFile, lineAt(style, at[0]), found)
	}
	return nil
}

// refusedTags are the elements that the policy makes useless, or that would leave the page.
var refusedTags = map[string]string{
	"script": "scripts do not run", "iframe": "frames are not loaded", "frame": "frames are not loaded",
	"object": "plugins are not loaded", "embed": "plugins are not loaded", "form": "forms cannot be sent",
	"base": "a base has no effect", "audio": "media are not loaded", "video": "media are not loaded",
}

// loadingAttrs make a browser fetch something.
var loadingAttrs = map[string]bool{"src": true, "srcset": true, "poster": true, "background": true, "data": true}

// checkPage refuses a rendered page that has something in it which its own
// policy blocks, since the operator would see it broken and not know why.
func (ts *templates) checkPage(name, rendered string) error {
	refuse := func(token, why string) error {
		file, line := ts.find(name, token)
		return fmt.Errorf("%s:%d: %s: %s", file, line, strings.TrimSuffix(token, "="), why)
	}
	z := html.NewTokenizer(strings.NewReader(rendered))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return nil // the end: reading a string has no other error
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if why, ok := refusedTags[token.Data]; ok {
				return refuse("<"+token.Data, why)
			}
			for _, a := range token.Attr {
				if why := blockedAttr(token.Data, a.Key, strings.TrimSpace(a.Val)); why != "" {
					return refuse(a.Key+"=", why)
				}
			}
			if token.Data != "style" {
				continue
			}
			if z.Next() == html.TextToken && string(z.Raw()) != string(ts.style) {
				return refuse("<style", "the one style sheet is style.css, written as <style>{{.Style}}</style>; others have no effect")
			}
		}
	}
}

func blockedAttr(tag, key, value string) string {
	fetches := loadingAttrs[key] || strings.TrimPrefix(key, "xlink:") == "href" && (tag == "link" || tag == "use" || tag == "image")
	switch {
	case key == "style":
		return "style attributes have no effect"
	case strings.HasPrefix(key, "on"):
		return "scripts do not run"
	case fetches && !strings.HasPrefix(value, "data:image/") && !strings.HasPrefix(value, "#"):
		return "nothing is loaded from outside, so write it as data:image/…"
	case tag == "meta" && key == "http-equiv" && strings.EqualFold(value, "refresh"):
		return "a refresh is not wanted"
	}
	return ""
}

// find tells which file has a token of a rendered page, and in which line, as
// well as can be told: rendering does not keep them.
func (ts *templates) find(page, token string) (file string, line int) {
	for _, name := range []string{page, marksFile} {
		source := ts.sources[name]
		if i := strings.Index(strings.ToLower(source), token); i >= 0 {
			return name, lineAt(source, i)
		}
	}
	return page, 1
}

func lineAt(s string, offset int) int {
	return 1 + strings.Count(s[:offset], "\n")
}
