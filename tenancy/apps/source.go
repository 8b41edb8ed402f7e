// Sources: which app, and which of its versions, is meant.

package apps

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

const (
	// MaxSources bounds how many apps one instance is given at a time.
	MaxSources = 100
	// MaxSlug and MaxVersion are in bytes.
	MaxSlug    = 64
	MaxVersion = 100
)

// Channels are the lines of versions that a registry has, the usual one first.
var Channels = []string{"stable", "beta", "dev"}

// Source says which app to install, and which of its versions: the latest of a
// channel, or a certain one.
type Source struct {
	Slug    string
	Channel string // empty where there is a version
	Version string // empty where there is a channel
}

const allowed = "drive, drive/beta, drive/1.2.3 or registry://drive/stable; channels are stable, beta and dev"

var (
	slugs    = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$`)
	versions = regexp.MustCompile(`^(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$`)
)

func isSlug(s string) bool    { return len(s) <= MaxSlug && slugs.MatchString(s) }
func isVersion(s string) bool { return len(s) <= MaxVersion && versions.MatchString(s) }

// ParseSource reads a source as people write it: `drive`, `drive/beta`,
// `drive/1.2.3`, or each of these after `registry://`. Anything else is a
// *tenancy.FieldError for the field `Apps`.
func ParseSource(s string) (Source, error) {
	refuse := func(problem string) (Source, error) {
		return Source{}, &tenancy.FieldError{Field: "Apps", Problem: problem, Allowed: allowed}
	}
	slug, line, hasLine := strings.Cut(strings.TrimPrefix(strings.TrimSpace(s), "registry://"), "/")
	if !isSlug(slug) {
		return refuse(fmt.Sprintf("has a bad name, which is of up to %d lower-case letters, digits and hyphens", MaxSlug))
	}
	if !hasLine {
		return Source{Slug: slug, Channel: Channels[0]}, nil
	}
	for _, channel := range Channels {
		if line == channel {
			return Source{Slug: slug, Channel: channel}, nil
		}
	}
	if !isVersion(line) {
		return refuse("has what is neither a channel nor a version after its name")
	}
	return Source{Slug: slug, Version: line}, nil
}

// ParseSources reads a list of sources. Empty ones are skipped; one app twice,
// and more than MaxSources, are a *tenancy.FieldError.
func ParseSources(list []string) ([]Source, error) {
	var out []Source
	seen := map[string]bool{}
	for _, s := range list {
		if strings.TrimSpace(s) == "" {
			continue
		}
		source, err := ParseSource(s)
		if err != nil {
			return nil, err
		}
		if seen[source.Slug] {
			return nil, &tenancy.FieldError{Field: "Apps", Problem: "names an app twice", Allowed: "each app once"}
		}
		if len(out) == MaxSources {
			return nil, &tenancy.FieldError{Field: "Apps", Problem: "names too many apps", Allowed: fmt.Sprintf("up to %d", MaxSources)}
		}
		seen[source.Slug] = true
		out = append(out, source)
	}
	return out, nil
}

// String is the form that the app's document has: registry://drive/stable.
func (s Source) String() string { return "registry://" + s.Slug + "/" + s.line() }

func (s Source) line() string {
	if s.Version != "" {
		return s.Version
	}
	return s.Channel
}

// valid tells whether s could come from ParseSource.
func (s Source) valid() bool {
	again, err := ParseSource(s.String())
	return err == nil && again == s
}
