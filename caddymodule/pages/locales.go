// This file holds the loading of message files, the built-in ones and an operator's.

package pages

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// wantedMessages are the ids that each language must have.
func wantedMessages() []string {
	ids := []string{"label.address", "label.reason", "label.support", "label.code"}
	for _, table := range append(Codes(), blocked) {
		ids = append(ids, table+".title", table+".detail", table+".advice")
	}
	return ids
}

// catalogue gathers message files until all are read.
type catalogue struct {
	bundle *i18n.Bundle
	tags   []language.Tag // English first
	files  map[language.Tag]string
	wanted []string
}

func newCatalogue() *catalogue {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	return &catalogue{
		bundle: bundle, tags: []language.Tag{language.English},
		files: make(map[language.Tag]string), wanted: wantedMessages(),
	}
}

// add reads one message file; what it has replaces what was there. Errors begin with the name and the line.
func (c *catalogue) add(name string, content []byte) error {
	file, err := c.bundle.ParseMessageFileBytes(content, name)
	if err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return fmt.Errorf("%s:%d: %s", name, syntax.Position.Line, syntax.Message)
		}
		return fmt.Errorf("%s:1: %w", name, err)
	}
	if file.Tag == language.Und {
		return fmt.Errorf("%s:1: the file's name has no language in it, as in locales/active.fr.toml", name)
	}
	for _, m := range file.Messages {
		line := lineOfMessage(content, m.ID)
		if !slices.Contains(c.wanted, m.ID) {
			return fmt.Errorf("%s:%d: there is no message %q", name, line, m.ID)
		}
		if clean(m.Other, maxMessage) != m.Other {
			return fmt.Errorf("%s:%d: the message %q is longer than %d characters, has control characters, or has more spaces than needed", name, line, m.ID, maxMessage)
		}
		if m.Other == "" {
			return fmt.Errorf("%s:%d: the message %q is empty", name, line, m.ID)
		}
		if strings.Contains(m.Other, "{{") {
			return fmt.Errorf("%s:%d: the message %q has {{ in it, but messages are plain text", name, line, m.ID)
		}
	}
	c.files[file.Tag] = name
	if !slices.Contains(c.tags, file.Tag) {
		c.tags = append(c.tags, file.Tag)
	}
	return nil
}

// maxMessage is far above what a visitor reads, and bounds the memory of a locale.
const maxMessage = 2000

// languages resolves every message of every language. A language that lacks
// one is refused: half a page in another language helps nobody.
func (c *catalogue) languages() (*languages, error) {
	all := make([]*texts, 0, len(c.tags))
	for _, tag := range c.tags {
		localizer := i18n.NewLocalizer(c.bundle, tag.String())
		resolved := make(map[string]string, len(c.wanted))
		var missing []string
		for _, id := range c.wanted {
			text, found, err := localizer.LocalizeWithTag(&i18n.LocalizeConfig{MessageID: id})
			if err != nil || found != tag {
				missing = append(missing, id)
				continue
			}
			resolved[id] = text
		}
		if len(missing) > 0 {
			return nil, fmt.Errorf("%s:1: a language needs every message, and %d are missing: %s",
				c.files[tag], len(missing), strings.Join(missing, ", "))
		}
		t := &texts{lang: tag.String(), dir: direction(tag), messages: make(map[string]message)}
		t.labels = labels{resolved["label.address"], resolved["label.reason"], resolved["label.support"], resolved["label.code"]}
		for _, table := range append(Codes(), blocked) {
			t.messages[table] = message{resolved[table+".title"], resolved[table+".detail"], resolved[table+".advice"]}
		}
		all = append(all, t)
	}
	return newLanguages(c.tags, all), nil
}

// lineOfMessage finds where a TOML file has a message, as well as can be told
// without a parser: the decoder does not keep the lines of what it read.
func lineOfMessage(content []byte, id string) int {
	table := ""
	for i, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(line, "[] ")
			if table == id {
				return i + 1
			}
			continue
		}
		key, _, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		key = strings.Trim(strings.TrimSpace(key), `"'`)
		if key == id || table != "" && table+"."+key == id {
			return i + 1
		}
	}
	return 1
}

// isMessageFile tells message files from whatever else lies in an operator's folder.
func isMessageFile(name string) bool {
	return path.Ext(name) == ".toml"
}
