// This file holds the choice of the language, and the texts that each language has.

package onboarding

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// noticeText is what a page says of one code.
type noticeText struct{ Title, Detail, Advice string }

// formTexts are the words of the form.
type formTexts struct{ Title, Detail, Password, Repeat, Rule, Show, Submit, Once string }

// labels are the words around the facts on a page.
type labels struct{ Address, Owner, Support, Code, Open string }

// texts is one language, every message resolved: nothing is looked up in a
// bundle while a request waits.
type texts struct {
	lang    string // BCP 47
	dir     string // ltr, rtl
	Form    formTexts
	Label   labels
	Level   [levels]string    // of strength
	errors  map[string]string // by code
	notices map[string]noticeText
}

// Differs is what the script says where the passwords are not the same.
func (t *texts) Differs() string { return t.errors[passwordDiffers] }

// errorCodes are those of a form that is shown again.
var errorCodes = []string{
	passwordEmpty, passwordShort, passwordLong, passwordCommon, passwordSite, passwordEasy, passwordRefused, passwordDiffers,
	formExpired, unavailable.code,
}

var notices = []notice{notOnboarded, linkInvalid, crossSiteForm, badForm, methodNotAllowed, tooManyRequests, unavailable}

// languages are those of the page. The first is English, the last resort.
type languages struct {
	texts   []*texts
	matcher language.Matcher
}

// speak reads the message files, English first.
func speak(files fs.FS) (*languages, error) {
	names, err := fs.Glob(files, "locales/active.*.toml")
	if err != nil {
		return nil, err
	}
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	tags := []language.Tag{language.English}
	for _, name := range names {
		file, err := bundle.LoadMessageFileFS(files, name)
		if err != nil {
			return nil, err
		}
		if file.Tag != language.English {
			tags = append(tags, file.Tag)
		}
	}
	l := &languages{matcher: language.NewMatcher(tags)}
	for _, tag := range tags {
		t, err := resolve(bundle, tag)
		if err != nil {
			return nil, err
		}
		l.texts = append(l.texts, t)
	}
	return l, nil
}

// resolve looks up every message of a language; one that is missing is an
// error, since half a page in another language helps nobody.
func resolve(bundle *i18n.Bundle, tag language.Tag) (*texts, error) {
	localizer := i18n.NewLocalizer(bundle, tag.String())
	var failed error
	get := func(id string) string {
		text, found, err := localizer.LocalizeWithTag(&i18n.LocalizeConfig{MessageID: id})
		if failed == nil && (err != nil || found != tag || text == "") {
			failed = fmt.Errorf("the language %s has no message %s", tag, id)
		}
		return text
	}
	t := &texts{lang: tag.String(), dir: "ltr", errors: make(map[string]string), notices: make(map[string]noticeText)}
	if script, _ := tag.Script(); script.String() == "Arab" || script.String() == "Hebr" {
		t.dir = "rtl"
	}
	t.Form = formTexts{
		Title: get("form.title"), Detail: get("form.detail"), Password: get("form.password"), Repeat: get("form.repeat"),
		Rule: get("form.rule"), Show: get("form.show"), Submit: get("form.submit"), Once: get("form.once"),
	}
	t.Label = labels{get("label.address"), get("label.owner"), get("label.support"), get("label.code"), get("label.open")}
	for i := range t.Level {
		t.Level[i] = get("level." + strconv.Itoa(i))
	}
	for _, code := range errorCodes {
		t.errors[code] = get("error." + code)
	}
	for _, n := range notices {
		t.notices[n.code] = noticeText{get(n.code + ".title"), get(n.code + ".detail"), get(n.code + ".advice")}
	}
	return t, failed
}

// maxAcceptLanguage bounds the work on a header; browsers send some 50 bytes.
const maxAcceptLanguage = 512

// pick gives the language of an instance's locale, also as POSIX writes it
// (fr_FR.UTF-8); varies tells that it has none here, so that Accept-Language decides.
func (l *languages) pick(locale string, header []string) (t *texts, varies bool) {
	if end := strings.IndexAny(locale, ".@"); end >= 0 {
		locale = locale[:end]
	}
	if locale != "" && len(locale) <= 64 {
		if tag, err := language.Parse(locale); err == nil {
			// Only a sure match counts: that Catalans often read Spanish is a
			// guess, and the visitor's browser knows better.
			if _, i, confidence := l.matcher.Match(tag); confidence >= language.High {
				return l.texts[i], false
			}
		}
	}
	joined := strings.Join(header, ",")
	if len(joined) > maxAcceptLanguage {
		joined = joined[:maxAcceptLanguage]
		joined = joined[:max(strings.LastIndexByte(joined, ','), 0)]
	}
	if tags, _, err := language.ParseAcceptLanguage(joined); err == nil && len(tags) > 0 {
		if _, i, confidence := l.matcher.Match(tags...); confidence != language.No {
			return l.texts[i], true
		}
	}
	return l.texts[0], true
}
