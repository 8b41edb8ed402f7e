// Check: the rules for the values of a change.

package lifecycle

import (
	"fmt"
	"net/mail"
	"regexp"
	"time"
	_ "time/tzdata" // zones are checked on machines that have no table of them
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// tosVersion is a date, with a version before it or not: 1.0.0-20240131 or 20240131.
var tosVersion = regexp.MustCompile(`^(?:\d{1,6}\.\d{1,6}\.\d{1,6}-)?(\d{8})$`)

// check validates every value and parses what has a form of its own. adding
// tells an add from a modify.
func (c *Change) check(domain tenancy.Domain, adding bool) error {
	if len(c.Settings) > maxSettings {
		return &tenancy.FieldError{Field: "Settings", Problem: "has too many keys", Allowed: fmt.Sprintf("at most %d", maxSettings)}
	}
	if err := c.sort(); err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		value *string
	}{
		{"OldDomain", c.OldDomain}, {"OrgDomain", c.OrgDomain}, {"OrgID", c.OrgID}, {"Locale", c.Locale},
		{"UUID", c.UUID}, {"OIDCID", c.OIDCID}, {"FranceConnectID", c.FranceConnectID}, {"ContextName", c.ContextName},
		{"Email", c.Email}, {"PublicName", c.PublicName}, {"Phone", c.Phone}, {"Timezone", c.Timezone},
	} {
		if err := checkText(f.name, text(f.value)); err != nil {
			return err
		}
	}
	for key, value := range c.Settings {
		if err := checkText("Settings", key+value); err != nil {
			return err
		}
	}
	checks := []func() error{c.checkLocale, c.checkTOS, c.checkTimezone, c.checkEmail, c.checkNumbers, c.checkLists,
		c.checkReason, func() error { return c.checkDomains(domain) }, func() error { return c.checkVerb(adding) }}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func checkText(field, value string) error {
	if len(value) > maxText || !utf8.ValidString(value) {
		return &tenancy.FieldError{Field: field, Problem: "is too long, or not UTF-8", Allowed: fmt.Sprintf("at most %d bytes", maxText)}
	}
	return nil
}

func (c *Change) checkLocale() error {
	if l := text(c.Locale); l != "" {
		if _, err := language.Parse(l); err != nil {
			return &tenancy.FieldError{Field: "Locale", Problem: "is not a language", Allowed: "a language tag, as in en, fr or pt-BR"}
		}
	}
	return nil
}

func (c *Change) checkTOS() error {
	for _, v := range []*string{c.TOSSigned, c.TOSLatest} {
		if text(v) == "" {
			continue
		}
		m := tosVersion.FindStringSubmatch(*v)
		if m == nil {
			return ErrBadTOS
		}
		if _, err := time.Parse("20060102", m[1]); err != nil {
			return ErrBadTOS
		}
	}
	return nil
}

// ErrBadTOS has the contract's text.
var ErrBadTOS = &tenancy.FieldError{Field: "TOSSigned, TOSLatest", Problem: "Bad format for TOS version", Allowed: "a version and a date, as in 1.0.0-20240131, or a date, as in 20240131"}

func (c *Change) checkTimezone() error {
	if tz := text(c.Timezone); tz != "" {
		if _, err := time.LoadLocation(tz); err != nil || tz == "Local" {
			return &tenancy.FieldError{Field: "Timezone", Problem: "is not a time zone", Allowed: "a name of the IANA database, as in Europe/Paris"}
		}
	}
	return nil
}

func (c *Change) checkEmail() error {
	if e := text(c.Email); e != "" {
		if addr, err := mail.ParseAddress(e); err != nil || addr.Address != e {
			return &tenancy.FieldError{Field: "Email", Problem: "is not an address", Allowed: "one address, as in alice@example.com"}
		}
	}
	return nil
}

func (c *Change) checkNumbers() error {
	if c.DiskQuota != nil && *c.DiskQuota < 0 {
		return &tenancy.FieldError{Field: "DiskQuota", Problem: "is negative", Allowed: "bytes; 0 for none"}
	}
	if c.SwiftLayout != nil && (*c.SwiftLayout < 0 || *c.SwiftLayout > 2) {
		return &tenancy.FieldError{Field: "SwiftLayout", Problem: "is not a layout", Allowed: "-1 for the default, 0, 1 or 2"}
	}
	if m := text(c.AuthMode); m != "" {
		if _, ok := AuthModes[m]; !ok {
			return &tenancy.FieldError{Field: "AuthMode", Problem: "is not a way of logging in", Allowed: "basic, two_factor_mail"}
		}
	}
	return nil
}

func (c *Change) checkLists() error {
	for name, list := range map[string]*[]string{"Sponsorships": c.Sponsorships, "FeatureSets": c.FeatureSets} {
		if list == nil {
			continue
		}
		if len(*list) > maxList {
			return &tenancy.FieldError{Field: name, Problem: "is too long", Allowed: fmt.Sprintf("at most %d", maxList)}
		}
		for _, v := range *list {
			if err := checkText(name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Change) checkReason() error {
	if c.BlockingReason == nil {
		return nil
	}
	reason, err := tenancy.ParseReason("BlockingReason", *c.BlockingReason)
	if err != nil {
		return err
	}
	s := string(reason)
	c.BlockingReason = &s
	return nil
}

func (c *Change) checkDomains(domain tenancy.Domain) error {
	if old := text(c.OldDomain); old != "" {
		d, err := tenancy.ParseDomainField("OldDomain", old)
		if err != nil {
			return err
		}
		s := d.String()
		c.OldDomain = &s
	}
	if c.Aliases == nil {
		return nil
	}
	if len(*c.Aliases) > maxAliases {
		return &tenancy.FieldError{Field: "DomainAliases", Problem: "has too many names", Allowed: fmt.Sprintf("at most %d", maxAliases)}
	}
	seen := map[string]bool{domain.Key(): true}
	c.aliases = nil
	for _, alias := range *c.Aliases {
		d, err := tenancy.ParseDomainField("DomainAliases", alias)
		if err != nil {
			return err
		}
		if seen[d.Key()] {
			return &tenancy.FieldError{Field: "DomainAliases", Problem: fmt.Sprintf("has %s twice, or it is the domain itself", d)}
		}
		seen[d.Key()] = true
		c.aliases = append(c.aliases, d)
	}
	return nil
}

func (c *Change) checkVerb(adding bool) error {
	if adding && c.Deleting != nil {
		return &tenancy.FieldError{Field: "Deleting", Problem: "is not for a new instance"}
	}
	if adding && c.IfRev != "" {
		return &tenancy.FieldError{Field: "IfRev", Problem: "is not for a new instance"}
	}
	if !adding && c.Apps != nil {
		return &tenancy.FieldError{Field: "Apps", Problem: "is for a new instance; see install-apps"}
	}
	if !adding && c.Passphrase != nil {
		return &tenancy.FieldError{Field: "Passphrase", Problem: "is for a new instance; see set-passphrase"}
	}
	if !adding && c.SendLink {
		return &tenancy.FieldError{Field: "Send", Problem: "is for a new instance; see resend-link"}
	}
	if !adding && c.CouchCluster != nil {
		return &tenancy.FieldError{Field: "CouchCluster", Problem: "cannot be changed: the instance's databases are where they are"}
	}
	return nil
}
