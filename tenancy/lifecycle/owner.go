// Owner: an instance's passphrase and the link to set it.

package lifecycle

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/passphrase"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Passphrase is what a passphrase is set from. It is a secret.
type Passphrase struct {
	Text          string // in the clear, or hashed by the client where Key and KDFIterations are given
	KDFIterations int    // 0 for the default
	Key           string // the vault's key, encrypted by the client
	PublicKey     string
	PrivateKey    string
}

// String keeps a passphrase out of logs.
func (Passphrase) String() string { return "[redacted]" }

// GoString does so with %#v.
func (p Passphrase) GoString() string { return p.String() }

func (p Passphrase) input(domain, oldDomain string) passphrase.Input {
	return passphrase.Input{
		Domain: domain, OldDomain: oldDomain, Passphrase: p.Text, KDFIterations: p.KDFIterations,
		Key: p.Key, PublicKey: p.PublicKey, PrivateKey: p.PrivateKey,
	}
}

// hashing bounds how many passphrases are hashed at a time: each takes 32 MiB
// and a core for some tenths of a second.
const hashing = 2

// material derives everything that a passphrase stores.
func (s *Service) material(ctx context.Context, in passphrase.Input) (*passphrase.Material, error) {
	if err := in.Validate(); err != nil {
		return nil, err
	}
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return passphrase.New(in, s.now(), lockedReader{s})
}

// lockedReader is the service's randomness for who wants a reader.
type lockedReader struct{ s *Service }

func (r lockedReader) Read(p []byte) (int, error) { return copy(p, r.s.random(len(p))), nil }

// SetPassphrase gives an instance a new passphrase. All its sessions end; one
// that was not onboarded is, and its link is used up. A bad passphrase is a
// *tenancy.FieldError.
func (s *Service) SetPassphrase(ctx context.Context, domain string, p Passphrase) (*tenancy.Instance, error) {
	inst, err := s.Get(ctx, domain)
	if err != nil {
		return nil, err
	}
	return s.setPassphrase(ctx, "set-passphrase", inst, p, func(*tenancy.Instance) error { return nil })
}

// ErrBadToken: a register token that is wrong, or has been used.
var ErrBadToken = errors.New("the link is not valid, or has been used")

// holdsToken tells whether token is the register token of an instance that is not
// onboarded, in constant time.
func holdsToken(inst *tenancy.Instance, token []byte) bool {
	want := inst.Bytes("register_token")
	return len(want) > 0 && !inst.Bool("onboarding_finished") && subtle.ConstantTimeCompare(want, token) == 1
}

// CheckToken tells whether token is the register token of the instance with this
// document id, in constant time and without using it up. An unknown id is a
// tenancy.ErrNotFound.
func (s *Service) CheckToken(ctx context.Context, id string, token []byte) (bool, error) {
	inst, err := s.byID(ctx, id)
	if errors.Is(err, couch.ErrNotFound) {
		return false, tenancy.ErrNotFound
	}
	if err != nil {
		return false, err
	}
	return holdsToken(inst, token), nil
}

// Onboard sets the first passphrase of an instance, for who has its register
// token, and marks it onboarded. A token that is not right, or not any more, is
// an ErrBadToken; a bad passphrase a *tenancy.FieldError.
func (s *Service) Onboard(ctx context.Context, id string, token []byte, text string) error {
	inst, err := s.byID(ctx, id)
	if errors.Is(err, couch.ErrNotFound) {
		return tenancy.ErrNotFound
	}
	if err != nil {
		return err
	}
	check := func(inst *tenancy.Instance) error {
		if !holdsToken(inst, token) {
			return ErrBadToken
		}
		return nil
	}
	if err := check(inst); err != nil { // before the cost of hashing
		return err
	}
	_, err = s.setPassphrase(ctx, "onboard", inst, Passphrase{Text: text}, check)
	return err
}

// ResendLink makes a new register token for an instance that is not onboarded;
// the old one is no longer good. With send the hook for links gets the new one.
// The instance that is returned has the token. An onboarded one is a
// tenancy.ErrConflict.
func (s *Service) ResendLink(ctx context.Context, domain string, send bool) (*tenancy.Instance, error) {
	inst, err := s.Get(ctx, domain)
	if err != nil {
		return nil, err
	}
	if send && !s.wants(SendLink) {
		return nil, errNoLinkHook
	}
	token := base64.StdEncoding.EncodeToString(s.random(registerTokenSize))
	before, changed, err := s.change(ctx, inst.ID(), func(inst *tenancy.Instance) error {
		if inst.Bool("onboarding_finished") {
			return tenancy.Conflictf("the owner of %s has chosen a password already; see set-passphrase", inst.Domain())
		}
		inst.Set("register_token", token)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.audit(ctx, "resend-link", changed, differences(before, changed))
	if send {
		return changed, s.tell(ctx, SendLink, changed)
	}
	return changed, nil
}

// errNoLinkHook: a link cannot be sent.
var errNoLinkHook = &tenancy.FieldError{Field: "Send", Problem: "needs the hook send_link, which the configuration does not have"}

// Link is where an owner chooses a password; empty for an instance without a
// register token. It is a secret.
func Link(inst *tenancy.Instance) string {
	token := inst.Bytes("register_token")
	if len(token) == 0 {
		return ""
	}
	return "https://" + inst.Domain() + "/?registerToken=" + hex.EncodeToString(token)
}

// ownerSettings are what an instance's settings say of its owner.
func (s *Service) ownerSettings(ctx context.Context, inst *tenancy.Instance) (email, name string, err error) {
	db, err := s.of(inst)
	if err != nil {
		return "", "", err
	}
	raw, err := db.Get(ctx, provision.DatabaseName(inst.Prefix(), "io.cozy.settings"), provision.SettingsID)
	if errors.Is(err, couch.ErrNotFound) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	var doc struct {
		Email      any `json:"email"`
		PublicName any `json:"public_name"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return "", "", err
	}
	email, _ = doc.Email.(string)
	name, _ = doc.PublicName.(string)
	return email, name, nil
}
