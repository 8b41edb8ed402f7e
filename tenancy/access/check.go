// Check: whether a token is good, and the note of its use.

package access

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy/couch"
	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

// Check tells whose token it is. One that is not good is an ErrDenied. Where the
// store does not answer and the token was not checked lately, the error is the
// store's: a token that may have been revoked is not taken.
func (s *Store) Check(ctx context.Context, token string) (Token, error) {
	id, secret, ok := split(token)
	if !ok {
		return Token{}, ErrDenied
	}
	doc, known := s.cache.get(id)
	if !known {
		asked := s.now()
		var err error
		if doc, err = s.read(ctx, id); err != nil {
			return Token{}, err
		}
		s.cache.put(id, doc, asked)
	}
	now := s.now()
	if doc == nil || !doc.matches(secret) || doc.Expired(now) || ranks[doc.Role] == 0 {
		return Token{}, ErrDenied
	}
	s.note(ctx, doc, now)
	return doc.Token, nil
}

// note writes when a token was last used: seldom, and not while its client waits.
func (s *Store) note(ctx context.Context, doc *document, now time.Time) {
	if doc.LastUsed != nil && now.Sub(*doc.LastUsed) < usedEvery {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.noted[doc.ID]; ok && now.Sub(last) < usedEvery {
		return
	}
	select {
	case s.slots <- struct{}{}:
	default: // a later use will be noted
		return
	}
	if len(s.noted) >= 2*MaxTokens { // of tokens that were revoked
		clear(s.noted)
	}
	s.noted[doc.ID] = now
	s.work.Go(func() {
		defer func() { <-s.slots }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), usedTime)
		defer cancel()
		if err := s.writeUse(ctx, doc.ID, now); err != nil {
			s.log.Debug("noting the use of a token", zap.String("token", doc.Name), zap.Error(err))
		}
	})
}

// writeUse reads again before it writes, so that it never brings a revoked token
// back. A conflict is another front door's note.
func (s *Store) writeUse(ctx context.Context, id string, now time.Time) error {
	doc, err := s.read(ctx, id)
	if err != nil || doc == nil {
		return err
	}
	if doc.LastUsed != nil && !now.After(*doc.LastUsed) {
		return nil
	}
	used := now.UTC().Truncate(time.Minute)
	doc.LastUsed = &used
	_, err = s.cluster.Put(ctx, provision.TokensDB, id, doc)
	if errors.Is(err, couch.ErrConflict) || errors.Is(err, couch.ErrNotFound) {
		return nil
	}
	return err
}
