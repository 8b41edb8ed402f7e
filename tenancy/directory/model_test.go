// A naive model of the directory: a list of documents, searched from end to end.
// It is the reference of the property and fuzz tests.

package directory_test

import (
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/directory"
)

type model struct {
	live map[string]*tenancy.Instance
	dead map[string]string // id → revision of the removal
	held map[string]claim  // who has each key; nil after a change
}

type claim struct {
	id     string
	by     directory.By
	claims int
}

func newModel(docs ...*tenancy.Instance) *model {
	m := &model{live: map[string]*tenancy.Instance{}, dead: map[string]string{}}
	for _, doc := range docs {
		m.apply(doc)
	}
	return m
}

// older tells whether revision a is not newer than b.
func older(a, b string) bool {
	genA, hashA, _ := strings.Cut(a, "-")
	genB, hashB, _ := strings.Cut(b, "-")
	x, _ := strconv.Atoi(genA)
	y, _ := strconv.Atoi(genB)
	return x < y || x == y && hashA <= hashB
}

func (m *model) apply(doc *tenancy.Instance) bool {
	if known := m.live[doc.ID()]; known != nil && older(doc.Rev(), known.Rev()) {
		return false
	}
	if rev, dead := m.dead[doc.ID()]; dead && older(doc.Rev(), rev) {
		return false
	}
	if doc.Malformed() != nil {
		return false
	}
	delete(m.dead, doc.ID())
	m.live[doc.ID()], m.held = doc, nil
	return true
}

func (m *model) remove(id, rev string) bool {
	known := m.live[id]
	if known != nil && rev != known.Rev() && older(rev, known.Rev()) {
		return false
	}
	if old, dead := m.dead[id]; dead && older(rev, old) {
		return false
	}
	m.dead[id], m.held = rev, nil
	delete(m.live, id)
	return known != nil
}

// roles are what a document's names are to it, the best role for each.
func roles(doc *tenancy.Instance) map[string]directory.By {
	out := map[string]directory.By{}
	add := func(name string, by directory.By) {
		if key, ok := tenancy.HostKey(name); ok && out[key] == 0 {
			out[key] = by
		}
	}
	add(doc.Domain(), directory.ByDomain)
	for _, alias := range doc.Aliases() {
		add(alias, directory.ByAlias)
	}
	add(doc.OldDomain(), directory.ByOldDomain)
	return out
}

// claims are who has each key, of all that claim it, and how many do.
func (m *model) claims() map[string]claim {
	if m.held != nil {
		return m.held
	}
	m.held = map[string]claim{}
	for _, doc := range m.live {
		for key, role := range roles(doc) {
			c := m.held[key]
			if c.by == 0 || role < c.by || role == c.by && doc.ID() < c.id {
				c.id, c.by = doc.ID(), role
			}
			c.claims++
			m.held[key] = c
		}
	}
	return m.held
}

func (m *model) conflicts() (n int) {
	for _, c := range m.claims() {
		if c.claims > 1 {
			n++
		}
	}
	return n
}

type answer struct {
	ID   string
	By   directory.By
	Slug string
}

// resolve is written after the contract, step by step.
func (m *model) resolve(host string, mode directory.Mode) answer {
	key, ok := tenancy.HostKey(host)
	if !ok {
		return answer{}
	}
	name, port, ported := strings.Cut(key, ":")
	parent, slug := parentOf(name, mode)
	variants := func(name string) []string {
		if name == "" {
			return nil
		}
		if ported {
			return []string{name + ":" + port, name}
		}
		return []string{name}
	}
	for _, old := range []bool{false, true} {
		for _, step := range []struct{ name, slug string }{{parent, slug}, {name, ""}} {
			for _, variant := range variants(step.name) {
				if c := m.claims()[variant]; c.by != 0 && (c.by == directory.ByOldDomain) == old {
					return answer{c.id, c.by, step.slug}
				}
			}
		}
	}
	return answer{}
}

// parentOf cuts a name without a port, in Unicode as a stack does.
func parentOf(name string, mode directory.Mode) (parent, slug string) {
	label, rest, found := strings.Cut(name, ".")
	if !found || mode == directory.Off {
		return "", ""
	}
	if mode == directory.Nested {
		return rest, label
	}
	label, err := idna.Punycode.ToUnicode(label)
	if err != nil {
		return "", ""
	}
	user, slug, _ := strings.Cut(label, "-")
	if user == "" || slug == "" {
		return "", ""
	}
	parent, ok := tenancy.HostKey(user + "." + rest)
	slug, slugOK := tenancy.HostKey(slug)
	if !ok || !slugOK {
		return "", ""
	}
	return parent, slug
}

// ambiguous are the keys that a new name cannot stand beside: those it would
// take requests from, and those that would take its own.
func (m *model) ambiguous(key string, mode directory.Mode) (below, above []string) {
	name, port, _ := strings.Cut(key, ":")
	parent, _ := parentOf(name, mode)
	for existing, c := range m.claims() {
		if c.by == directory.ByOldDomain {
			continue
		}
		itsName, itsPort, _ := strings.Cut(existing, ":")
		if port != "" && itsPort != "" && port != itsPort {
			continue
		}
		if itsParent, _ := parentOf(itsName, mode); itsParent == name {
			below = append(below, existing)
		}
		if itsName == parent {
			above = append(above, existing)
		}
	}
	return below, above
}
