// This file holds the tests of what happens where the control plane, or the visitor, fails.

package onboarding_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
	"github.com/gatehouse-edge/gatehouse/tenancy"
)

// planeFailure is a case of a control plane that fails: what it says, and what its visitor gets.
type planeFailure struct {
	name            string
	check, onboard  error
	status          int
	text, retry     string
	reported, again bool
}

func (f planeFailure) cause() error {
	if f.check != nil {
		return f.check
	}
	return f.onboard
}

func TestFailuresOfThePlane(t *testing.T) {
	t.Parallel()
	strange := errors.New("something else")
	for _, c := range []planeFailure{
		{"no instance at the look-up", tenancy.ErrNotFound, nil, 404, "NOT_FOUND", "", false, false},
		{"no store at the look-up", tenancy.Unavailablef("gone"), nil, 503, "UNAVAILABLE", "5", true, false},
		{"something else at the look-up", strange, nil, 503, "UNAVAILABLE", "5", true, false},
		{"no instance", nil, tenancy.ErrNotFound, 404, "NOT_FOUND", "", false, false},
		{"the token was used meanwhile", nil, onboarding.ErrToken, 403, "LINK_INVALID", "", false, false},
		{"no store", nil, tenancy.Unavailablef("gone"), 503, "could not be set just now", "5", true, true},
		{"something else", nil, strange, 503, "could not be set just now", "5", true, true},
	} {
		p := newPlane()
		b := newBrowser(t, newPage(t, onboarding.Options{Backend: p, Support: "help@example.com"}))
		_, values := b.fill(b.get(link), password, password)
		p.checkErr, p.err = c.check, c.onboard
		w := b.send(http.MethodPost, link, values.Encode())
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.text) || w.Header().Get("Retry-After") != c.retry {
			t.Errorf("%s: %d, Retry-After %q: %s", c.name, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
		if reported := errors.Is(b.err, c.cause()); reported != c.reported || !c.reported && b.err != nil {
			t.Errorf("%s: reported %v", c.name, b.err)
		}
		if b.err != nil && strings.Contains(b.err.Error(), password) {
			t.Errorf("%s: the error has the password in it", c.name)
		}
		if c.again {
			b.fill(w, "", "")
		}
	}
}

// TestTheVisitorLeaves: a change that began is not stopped halfway.
func TestTheVisitorLeaves(t *testing.T) {
	t.Parallel()
	p := newPlane()
	p.entered, p.proceed = make(chan struct{}), make(chan struct{})
	page := newPage(t, onboarding.Options{Backend: p, Concurrent: 1, Timeout: time.Minute})
	b := newBrowser(t, page)
	_, values := b.fill(b.get(link), password, password)

	post := func(ctx context.Context) (*httptest.ResponseRecorder, error) {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, link, strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range b.jar.Cookies(r.URL) {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		err := page.Serve(w, r, alice, visitor)
		return w, err
	}
	ctx, leave := context.WithCancel(context.Background())
	done := make(chan int)
	go func() {
		w, _ := post(ctx)
		done <- w.Code
	}()
	<-p.entered
	leave()
	// Meanwhile the one turn is taken, and a second form waits until its own visitor leaves.
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if w, err := post(gone); w.Code != http.StatusServiceUnavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("the second form: %d, %v", w.Code, err)
	}
	close(p.proceed)
	if code := <-done; code != http.StatusSeeOther || p.onboarded("alice") != password {
		t.Errorf("%d", code)
	}
}

func TestNoRandomness(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newPage(t, onboarding.Options{Backend: newPlane(), Rand: io.LimitReader(rand.Reader, 0)}))
	if w := b.get(link); w.Code != http.StatusServiceUnavailable || !errors.Is(b.err, io.EOF) {
		t.Errorf("%d, %v", w.Code, b.err)
	}
}
