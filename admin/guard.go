// Guard: who asks, and what they may do.

package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/access"
)

// Ways in which a change reaches a front door, for the audit.
const (
	viaAdmin = "admin" // Caddy's admin endpoint
	viaAPI   = "api"   // the API's own listener
)

// adminName is whoever has the passphrase, or Caddy's admin endpoint.
const adminName = "admin"

// caller is who asks.
type caller struct {
	name    string // of the token, or adminName
	role    access.Role
	address string
}

type callerKey struct{}

func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

// Tokens is what an App has that takes tokens.
type Tokens interface {
	Access() *access.Store
}

func tokensOf(app App) *access.Store {
	if t, ok := app.(Tokens); ok {
		return t.Access()
	}
	return nil
}

// guard tells who asks: with basic auth, whose user name is not looked at since a
// cozy-stack's command line leaves it empty, or with a bearer token. A token
// does as the password of basic auth as well.
type guard struct {
	via string
	// hash is the bcrypt hash of the passphrase, and whether anything is asked for.
	hash func(App) (hash string, required bool)
	now  func() time.Time // default time.Now

	passphrases *authenticator
	delays      *delays
	failures    atomic.Int64
}

func (g *guard) init() {
	if g.delays != nil {
		return
	}
	if g.now == nil {
		g.now = time.Now
	}
	g.passphrases, g.delays = newAuthenticator(), newDelays(g.now)
}

// appHash is the passphrase of Caddy's admin endpoint, which is open where none
// is configured, as the rest of that endpoint is.
func appHash(app App) (string, bool) { return app.AdminPassphraseHash(), app.AuthRequired() }

// identify tells who asks. The error is an answer.
func (g *guard) identify(app App, r *http.Request) (caller, error) {
	who := caller{name: adminName, role: access.Admin, address: addressOf(r)}
	secret, given := credentials(r)
	hash, required := g.hash(app)
	if !given {
		if required {
			return caller{}, errUnauthorized
		}
		return who, nil
	}
	isToken := strings.HasPrefix(secret, access.Prefix)
	if !required && !isToken { // nobody asked for it
		return who, nil
	}
	// Who is known to be right is let through in spite of the failures of others, who
	// may share its address behind a proxy.
	wait := g.delays.wait(who.address)
	if isToken { // no delay makes the guessing of 256 bits harder
		store := tokensOf(app)
		if store == nil {
			return caller{}, g.refuse(who.address)
		}
		ctx, cancel := question(r)
		defer cancel()
		token, err := store.Check(ctx, secret)
		if errors.Is(err, access.ErrDenied) {
			if wait > 0 {
				return caller{}, tooMany(wait)
			}
			return caller{}, g.refuse(who.address)
		}
		who.name, who.role = token.Name, token.Role
		return who, err
	}
	if wait > 0 {
		if g.passphrases.knows(secret, hash) {
			return who, nil
		}
		return caller{}, tooMany(wait)
	}
	ok, busy := g.passphrases.allowed(secret, hash)
	switch {
	case busy:
		return caller{}, tooMany(time.Second)
	case !ok:
		return caller{}, g.refuse(who.address)
	}
	return who, nil
}

// refuse counts a failed login.
func (g *guard) refuse(address string) error {
	g.failures.Add(1)
	g.delays.fail(address)
	return errUnauthorized
}

// credentials are the secret of a request: a bearer token or a password. An empty
// password is none, since a command line without one sends that.
func credentials(r *http.Request) (secret string, given bool) {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	_, password, ok := r.BasicAuth()
	return password, ok && password != ""
}

// addressOf is the client's address, without its port.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "unix"
	}
	return host
}
