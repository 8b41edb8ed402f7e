// Mode: how the hosts of apps are made from an instance's domain, and cut again.

package directory

import (
	"bytes"
	"strings"

	"golang.org/x/net/idna"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// Mode says where the slug of an app stands in a host.
type Mode uint8

// The modes of a cozy-stack, and none.
const (
	Nested Mode = iota // drive.alice.example.com
	Flat               // alice-drive.example.com
	Off                // instances have no app hosts
)

// String is the mode as the configuration has it.
func (m Mode) String() string {
	switch m {
	case Flat:
		return "flat"
	case Off:
		return "off"
	default:
		return "nested"
	}
}

// ParseMode reads a mode. The error is a *tenancy.FieldError.
func ParseMode(s string) (Mode, error) {
	switch s {
	case "nested":
		return Nested, nil
	case "flat":
		return Flat, nil
	case "off":
		return Off, nil
	}
	return 0, &tenancy.FieldError{Field: "subdomains", Problem: "is none of the modes", Allowed: "nested, flat, off"}
}

// slug is where the slug of an app stands in its host's key, or what it is where
// it does not stand there as it is.
type slug struct {
	from, to int
	text     string
}

// cut takes the key of a host apart: into the key of the parent, which has the
// host's port, and the slug. name is the length of a key without the port. dst
// has room for a key. ok is false for what can be no app host.
func (m Mode) cut(dst, key []byte, name int) (parent []byte, parentName int, at slug, ok bool) {
	dot := bytes.IndexByte(key[:name], '.')
	if m == Off || dot <= 0 || dot == name-1 {
		return nil, 0, slug{}, false
	}
	if m == Nested {
		return key[dot+1:], name - dot - 1, slug{to: dot}, true
	}
	dash := bytes.IndexByte(key[:dot], '-')
	if dash <= 0 || dash == dot-1 {
		return nil, 0, slug{}, false
	}
	if bytes.HasPrefix(key, []byte(acePrefix)) {
		return cutUnicode(string(key[:dot]), string(key[dot:]))
	}
	parent = append(append(dst, key[:dash]...), key[dot:]...)
	return parent, name - (dot - dash), slug{from: dash + 1, to: dot}, true
}

const acePrefix = "xn--"

// cutUnicode cuts a label in its Unicode form: the hyphens of an A-label are no
// hyphens of the name.
func cutUnicode(label, rest string) (parent []byte, parentName int, at slug, ok bool) {
	written, err := idna.Punycode.ToUnicode(label)
	if err != nil {
		return nil, 0, slug{}, false
	}
	user, app, found := strings.Cut(written, "-")
	if !found || user == "" || app == "" {
		return nil, 0, slug{}, false
	}
	key, keyOK := tenancy.HostKey(user + rest)
	app, appOK := tenancy.HostKey(app)
	if !keyOK || !appOK {
		return nil, 0, slug{}, false
	}
	name, _ := splitPort(key)
	return []byte(key), len(name), slug{text: app}, true
}

// in is the slug as part of the host where it stands there in normal form, which
// spares a copy.
func (s slug) in(host string, key []byte) string {
	if s.text != "" {
		return s.text
	}
	if s.to <= len(host) && host[s.from:s.to] == string(key[s.from:s.to]) {
		return host[s.from:s.to]
	}
	return string(key[s.from:s.to])
}

// Host is the host of the app slug of an instance with the name key, which may carry a
// port; both in normal form. Without a slug, or where apps have no hosts, it is key.
func (m Mode) Host(key, slug string) string { return m.join(key, slug) }

// join is Host: the opposite of cut.
func (m Mode) join(key, slug string) string {
	if slug == "" || m == Off {
		return key
	}
	if m == Nested {
		return slug + "." + key
	}
	name, _ := splitPort(key)
	label, _, _ := strings.Cut(name, ".")
	rest := key[len(label):]
	if strings.HasPrefix(label, acePrefix) || strings.HasPrefix(slug, acePrefix) {
		user, userErr := idna.Punycode.ToUnicode(label)
		app, appErr := idna.Punycode.ToUnicode(slug)
		if userErr == nil && appErr == nil {
			if host, ok := tenancy.HostKey(user + "-" + app + rest); ok {
				return host
			}
		}
	}
	return label + "-" + slug + rest
}

// splitPort cuts a key before its port's colon; port is without it.
func splitPort(key string) (name, port string) {
	name, port, _ = strings.Cut(key, ":")
	return name, port
}
