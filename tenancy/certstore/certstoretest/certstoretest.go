// Package certstoretest is the one conformance suite of certificate storages: what
// certmagic's comments promise, and what its FileStorage does where they say
// nothing. certmagic's own FileStorage has to pass it, and so has every store of ours.
//
// Two things are left out on purpose. Folders of a FileStorage stay when the last
// file in them goes, while a key of ours leads somewhere only as long as there is a value
// below it. And a FileStorage has one namespace for files and folders, so that no
// key has a value and others below it.
package certstoretest

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// patience bounds waits for what must happen.
const patience = 30 * time.Second

// Subject is a storage under test.
type Subject struct {
	certmagic.Storage
	// Again opens what is stored anew, as another process does.
	Again func() certmagic.Storage
}

// Run runs the suite. open is called for each test.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, test := range append(slices.Clone(valueTests), lockTests...) {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			t.Cleanup(cancel)
			test.run(&suite{T: t, Subject: open(t), ctx: ctx})
		})
	}
}

type test struct {
	name string
	run  func(*suite)
}

type suite struct {
	*testing.T
	Subject
	ctx context.Context
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// missing checks that an error says that there is nothing.
func (s *suite) missing(err error, what string) {
	s.Helper()
	if !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("%s: the error is %v, want fs.ErrNotExist", what, err)
	}
}

func (s *suite) store(keys ...string) {
	s.Helper()
	for _, key := range keys {
		s.must(s.Store(s.ctx, key, []byte("value of "+key)))
	}
}

// has checks the value of a key.
func (s *suite) has(key, want string) {
	s.Helper()
	got, err := s.Load(s.ctx, key)
	if err != nil || string(got) != want {
		s.Errorf("%s: %.80q, %v, want %.80q", key, got, err, want)
	}
}

// lists checks a listing, in its order.
func (s *suite) lists(dir string, recursive bool, want ...string) {
	s.Helper()
	got, err := s.List(s.ctx, dir, recursive)
	if err != nil || !slices.Equal(got, want) {
		s.Errorf("list of %q, recursive %v: %q, %v, want %q", dir, recursive, got, err, want)
	}
}
