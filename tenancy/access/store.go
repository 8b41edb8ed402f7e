// Store: the tokens in their database, and the check of one.

package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// ErrDenied: a token that is not good: unknown, wrong, revoked or expired. Which
// of these is not said.
var ErrDenied = errors.New("the token is not valid")

const (
	// DefaultTTL is how long a front door may go on to take a token that was
	// revoked on another.
	DefaultTTL = 10 * time.Second
	// MaxTokens bounds how many there are.
	MaxTokens = 1000
	// MaxLife bounds a token that expires.
	MaxLife = 10 * 365 * 24 * time.Hour

	cacheSize = 1024
	usedEvery = time.Hour       // between two writings of when a token was last used
	usedTime  = 5 * time.Second // for one of them
	usedAtAll = 4               // of them at a time
	retries   = 5
)

// Options of a Store.
type Options struct {
	Cluster *couch.Cluster // with the database provision.TokensDB
	Logger  *zap.Logger
	Now     func() time.Time // default time.Now
	Rand    io.Reader        // default crypto/rand.Reader; read by one goroutine at a time
	TTL     time.Duration    // default DefaultTTL
}

// Store has the tokens. It is safe for concurrent use, and asks the store
// nothing before its first use.
type Store struct {
	cluster *couch.Cluster
	log     *zap.Logger
	now     func() time.Time
	cache   *cache

	seed sync.Mutex
	rand io.Reader

	slots chan struct{} // for writings of last uses
	mu    sync.Mutex
	noted map[string]time.Time // last uses that this front door has written, or tried to
	work  sync.WaitGroup
}

// New makes a Store.
func New(o Options) *Store {
	s := &Store{
		cluster: o.Cluster, log: o.Logger, now: o.Now, rand: o.Rand,
		slots: make(chan struct{}, usedAtAll), noted: map[string]time.Time{},
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if o.TTL <= 0 {
		o.TTL = DefaultTTL
	}
	s.cache = newCache(s.now, o.TTL, cacheSize)
	return s
}

// Wait returns when no writing is under way, or with ctx's error.
func (s *Store) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Add makes a token. life 0 is for one that does not expire; by is who makes it.
// The secret is what a client sends, and is told here alone. A bad name or role
// is a *tenancy.FieldError, a name that a token has a tenancy.ErrConflict.
func (s *Store) Add(ctx context.Context, name string, role Role, life time.Duration, by string) (Token, string, error) {
	if err := checkName(name); err != nil {
		return Token{}, "", err
	}
	if _, err := ParseRole("Role", string(role)); err != nil {
		return Token{}, "", err
	}
	if life < 0 || life > MaxLife {
		return Token{}, "", &tenancy.FieldError{Field: "Expire", Problem: "is not a time that a token can live", Allowed: "up to 3650d; 0 for a token that does not expire"}
	}
	if _, err := s.cluster.CreateDB(ctx, provision.TokensDB); err != nil {
		return Token{}, "", err
	}
	count := 0
	err := s.List(ctx, func(t Token) error {
		if count++; count >= MaxTokens {
			return tenancy.Conflictf("there are %d tokens already; revoke some", MaxTokens)
		}
		if t.Name == name {
			return tenancy.Conflictf("there is a token with this name already; revoke it first, or take another name")
		}
		return nil
	})
	if err != nil {
		return Token{}, "", err
	}
	id, secret := hex.EncodeToString(s.random(idSize)), base64.RawURLEncoding.EncodeToString(s.random(secretSize))
	digest := sha256.Sum256([]byte(secret))
	now := s.now().UTC().Truncate(time.Second)
	doc := document{ID: id, Digest: digest[:], Token: Token{ID: id, Name: name, Role: role, Created: now, By: by}}
	if life > 0 {
		end := now.Add(life)
		doc.Expires = &end
	}
	if _, err := s.cluster.Put(ctx, provision.TokensDB, id, doc); err != nil {
		return Token{}, "", err
	}
	return doc.Token, Prefix + id + "_" + secret, nil
}

func (s *Store) random(n int) []byte {
	out := make([]byte, n)
	s.seed.Lock()
	defer s.seed.Unlock()
	if _, err := io.ReadFull(s.rand, out); err != nil {
		panic(fmt.Sprintf("access: no randomness: %v", err)) // crypto/rand never fails
	}
	return out
}

// List gives all tokens to fn, the expired ones too.
func (s *Store) List(ctx context.Context, fn func(Token) error) error {
	err := s.cluster.Walk(ctx, provision.TokensDB, couch.Range{}, func(row couch.Row) error {
		if !isID(row.ID) {
			return nil
		}
		doc, err := parse(row.Doc)
		if err != nil {
			return err
		}
		return fn(doc.Token)
	})
	if errors.Is(err, couch.ErrNotFound) { // no database: no tokens
		return nil
	}
	return err
}

func parse(raw json.RawMessage) (*document, error) {
	doc := new(document)
	if err := json.Unmarshal(raw, doc); err != nil {
		return nil, fmt.Errorf("the document of a token cannot be read: %w", err)
	}
	doc.Token.ID = doc.ID
	return doc, nil
}

// Revoke ends a token, named by its id or its name. Here it is dead at once, on
// other front doors within the TTL. tenancy.ErrNotFound where there is none.
func (s *Store) Revoke(ctx context.Context, which string) (Token, error) {
	var found *Token
	err := s.List(ctx, func(t Token) error {
		if t.ID == which || t.Name == which && found == nil {
			found = &t
		}
		return nil
	})
	if err != nil {
		return Token{}, err
	}
	if found == nil {
		return Token{}, errNone
	}
	for range retries {
		doc, err := s.read(ctx, found.ID)
		if err != nil {
			return Token{}, err
		}
		if doc != nil {
			_, err = s.cluster.Delete(ctx, provision.TokensDB, doc.ID, doc.Rev)
		}
		switch {
		case err == nil || errors.Is(err, couch.ErrNotFound): // by us, or by somebody quicker
			s.cache.put(found.ID, nil, s.now())
			return *found, nil
		case !errors.Is(err, couch.ErrConflict):
			return Token{}, err
		}
	}
	return Token{}, tenancy.Conflictf("the token is being changed by others; try again")
}

// errNone is a tenancy.ErrNotFound with words of its own.
var errNone = noToken{}

type noToken struct{}

func (noToken) Error() string        { return "there is no token with this id or name" }
func (noToken) Is(target error) bool { return target == tenancy.ErrNotFound }

// read reads a token's document; nil where there is none.
func (s *Store) read(ctx context.Context, id string) (*document, error) {
	raw, err := s.cluster.Get(ctx, provision.TokensDB, id)
	if errors.Is(err, couch.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(raw)
}
