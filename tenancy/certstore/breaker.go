// Breaker: what is known of whether the store answers.

package certstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// breaker keeps reads away from a store that has failed, for a while; then one of
// them is let through to try it. It logs each change once.
type breaker struct {
	name  string
	log   *zap.Logger
	now   func() time.Time
	pause time.Duration

	mu    sync.Mutex
	down  bool
	until time.Time
	err   error
}

// admit tells whether a read may ask the store; the error is why not.
func (b *breaker) admit() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.down {
		return nil
	}
	now := b.now()
	if now.Before(b.until) {
		return fmt.Errorf("%s does not answer, and is tried again in a moment: %w", b.name, b.err)
	}
	b.until = now.Add(b.pause) // the others wait for what this one finds
	return nil
}

// isDown tells whether the last call has failed.
func (b *breaker) isDown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}

// judge takes note of how a call has ended. A call that its caller gave up says
// nothing of the store. It returns err, as an ErrUnavailable where it is one.
func (b *breaker) judge(caller context.Context, err error) error {
	if err != nil && caller.Err() != nil {
		return caller.Err()
	}
	switch {
	case err == nil:
	case errors.Is(err, tenancy.ErrUnavailable):
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		err = tenancy.Unavailablef("no answer in time: %v", err)
	default: // refused, which is an answer
		b.answered()
		return err
	}
	if err == nil {
		b.answered()
		return nil
	}
	b.failed(err)
	return fmt.Errorf("%s does not answer: %w", b.name, err)
}

func (b *breaker) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		b.log.Info("the certificate store answers again", zap.String("store", b.name))
	}
	b.down, b.err = false, nil
}

func (b *breaker) failed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.down {
		b.log.Warn("the certificate store does not answer; certificates come from the cache, and none can be stored",
			zap.String("store", b.name), zap.Error(err))
	}
	b.down, b.err, b.until = true, err, b.now().Add(b.pause)
}
