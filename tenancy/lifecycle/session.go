// Session: the sessions of an instance's owner, the day of their last use, and
// the tokens by which programs speak for them.

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// sessions are the doctypes of sessions, of which only the second is made with an
// instance; a stack makes the first when it needs it.
var sessions = []string{"io.cozy.sessions", "io.cozy.sessions.logins"}

// CleanSessions ends all sessions of an instance's owner, and forgets the logins.
func (s *Service) CleanSessions(ctx context.Context, domain string) error {
	inst, err := s.Get(ctx, domain)
	if err != nil {
		return err
	}
	db, err := s.of(inst)
	if err != nil {
		return err
	}
	if err := s.Ensure(ctx); err != nil {
		return err
	}
	h, err := s.beginAlone(ctx, Operation{
		ID: opID("sessions", inst.ID()), Verb: "sessions", Domain: inst.Domain(), Instance: inst.ID(), Prefix: inst.Prefix(), Cluster: inst.Cluster(),
	})
	if err != nil {
		return err
	}
	err = h.fenced(ctx, func(ctx context.Context) error { return s.cleanSessions(ctx, db, inst.ID()) })
	cleanup, cancel := detach(ctx)
	defer cancel()
	state := opDone
	if err != nil {
		state = opUndone
	}
	s.warnEnd(h, h.end(cleanup, state, err))
	if err == nil {
		s.audit(ctx, "clean-sessions", inst, nil)
	}
	return err
}

func (s *Service) cleanSessions(ctx context.Context, db *couch.Cluster, id string) error {
	inst, err := s.byID(ctx, id)
	if errors.Is(err, couch.ErrNotFound) {
		return tenancy.ErrNotFound
	}
	if err != nil {
		return err
	}
	if inst.State() == tenancy.Deleting { // what is made here would outlive it
		return tenancy.Conflictf("%s is being deleted", inst.Domain())
	}
	for _, doctype := range sessions {
		if _, err := db.DestroyDB(ctx, provision.DatabaseName(inst.Prefix(), doctype)); err != nil {
			return err
		}
	}
	// With its index again, since the record says that it is there.
	logins := provision.Empty(inst.Prefix(), sessions[1])
	if _, err := db.CreateSmallDB(ctx, logins.Name); err != nil {
		return err
	}
	return fill(ctx, db, logins)
}

// activity are the doctypes that tell when an instance was used, and the fields
// of their documents with a time.
var activity = map[string][]string{
	"io.cozy.sessions":        {"last_seen", "created_at"},
	"io.cozy.sessions.logins": {"created_at"},
	"io.cozy.oauth.clients":   {"last_refreshed_at", "synchronized_at"},
}

// LastActivity is the day on which an instance was last used, by its sessions and
// OAuth clients; the zero time where nothing is known.
func (s *Service) LastActivity(ctx context.Context, domain string) (time.Time, error) {
	var last time.Time
	inst, err := s.Get(ctx, domain)
	if err != nil {
		return last, err
	}
	db, err := s.of(inst)
	if err != nil {
		return last, err
	}
	see := func(raw json.RawMessage) {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return
		}
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil && at.After(last) {
			last = at
		}
	}
	see(inst.Raw("last_activity_from_deleted_oauth_clients"))
	for doctype, fields := range activity {
		err := db.Walk(ctx, provision.DatabaseName(inst.Prefix(), doctype), couch.Range{}, func(row couch.Row) error {
			var doc map[string]json.RawMessage
			if strings.HasPrefix(row.ID, "_design/") || json.Unmarshal(row.Doc, &doc) != nil {
				return nil
			}
			for _, field := range fields {
				see(doc[field])
			}
			return nil
		})
		if err != nil && !errors.Is(err, couch.ErrNotFound) {
			return last, err
		}
	}
	if last.IsZero() {
		return last, nil
	}
	return last.UTC().Truncate(24 * time.Hour), nil
}

// TokenRequest is what a token is asked for.
type TokenRequest struct {
	Domain   string
	Audience string        // cli, app or webapp, konn or konnector, access, refresh
	Scope    string        // separated by spaces
	Subject  string        // the slug of an app, the id of an OAuth client
	Expire   time.Duration // 0 for the audience's own
}

// audience is one of the audiences of a stack's tokens.
type audience struct {
	name  string        // as in the claim
	field string        // of the record, with the key
	lead  string        // before the key's bytes
	valid time.Duration // how long a stack takes it; 0 for ever
}

var audiences = map[string]audience{
	"cli":       {"cli", "cli_secret", "", 30 * time.Minute},
	"app":       {"app", "session_secret", "2:", 24 * time.Hour},
	"webapp":    {"app", "session_secret", "2:", 24 * time.Hour},
	"konn":      {"konn", "session_secret", "2:", 30 * time.Minute},
	"konnector": {"konn", "session_secret", "2:", 30 * time.Minute},
	"access":    {"access", "oauth_secret", "", 7 * 24 * time.Hour},
	"refresh":   {"refresh", "oauth_secret", "", 0},
}

// maxExpire bounds how long a token can be asked to be good.
const maxExpire = 366 * 24 * time.Hour

// maxScope bounds the scope and the subject of a token, in bytes.
const maxScope = 16 << 10

// Token makes a JSON Web Token (RFC 7519, HS512) that a stack takes. A bad
// request is a *tenancy.FieldError with the name of the field.
func (s *Service) Token(ctx context.Context, r TokenRequest) (string, error) {
	a, ok := audiences[r.Audience]
	if !ok {
		return "", &tenancy.FieldError{Field: "Audience", Problem: "is not known", Allowed: "cli, app (or webapp), konn (or konnector), access, refresh"}
	}
	if len(r.Scope) > maxScope || len(r.Subject) > maxScope {
		return "", &tenancy.FieldError{Field: "Scope", Problem: "is too long", Allowed: "at most 16 KiB"}
	}
	if r.Expire < 0 || r.Expire > maxExpire {
		return "", &tenancy.FieldError{Field: "Expire", Problem: "is out of range", Allowed: "0 for the default, to a year"}
	}
	if r.Expire > 0 && a.valid == 0 {
		return "", &tenancy.FieldError{Field: "Expire", Problem: "is not for a refresh token, which does not expire"}
	}
	inst, err := s.Get(ctx, r.Domain)
	if err != nil {
		return "", err
	}
	secret := inst.Bytes(a.field)
	if len(secret) == 0 {
		return "", tenancy.Conflictf("%s has no %s, from which tokens are made", inst.Domain(), a.field)
	}
	issued := s.now()
	if r.Expire > 0 {
		// A stack counts from the moment of issue, and knows no other end.
		issued = issued.Add(r.Expire - a.valid)
	}
	claims := jwt.MapClaims{"aud": a.name, "iss": inst.Domain(), "iat": issued.Unix(), "scope": r.Scope}
	if r.Subject != "" {
		claims["sub"] = r.Subject
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS512, claims).SignedString(append([]byte(a.lead), secret...))
}
