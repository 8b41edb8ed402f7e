// Deliveries: what is sent, and when it is sent again.

package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy"
	"github.com/gatehouse-edge/gatehouse/tenancy/hooks"
	"github.com/gatehouse-edge/gatehouse/tenancy/lifecycle"
)

func TestDelivery(t *testing.T) {
	t.Parallel()
	r := receive(t, status(http.StatusNoContent))
	h, _ := telling(t, r.URL+"/clean?from=here")
	want := event(lifecycle.BeforeDestroy)
	if err := h.Deliver(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	r.count(t, 1)
	got := r.got()[0]
	if err := verify(got, key); err != nil {
		t.Error(err)
	}
	if got.method != http.MethodPost || got.path != "/clean?from=here" {
		t.Errorf("%s %s", got.method, got.path)
	}
	for name, want := range map[string]string{
		"User-Agent": "gatehouse", "Content-Type": "application/json",
		"webhook-id": want.ID, "webhook-timestamp": strconv.FormatInt(began.Unix(), 10),
	} {
		if got := got.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if e := decode(t, got); e != want {
		t.Errorf("the event is %+v, want %+v", e, want)
	}
}

func TestNobodyIsTold(t *testing.T) {
	t.Parallel()
	r := receive(t, status(http.StatusNoContent))
	h, _ := telling(t, r.URL)
	if h.Wants(lifecycle.AfterAdd) || !h.Wants(lifecycle.BeforeDestroy) {
		t.Error("Wants does not say what is configured")
	}
	if err := h.Deliver(t.Context(), event(lifecycle.AfterAdd)); err != nil {
		t.Error(err)
	}
	r.count(t, 0)
}

// TestIDWithoutStops: a full stop would make what is signed ambiguous.
func TestIDWithoutStops(t *testing.T) {
	t.Parallel()
	r := receive(t, status(http.StatusOK))
	h, _ := telling(t, r.URL)
	e := event(lifecycle.BeforeDestroy)
	e.ID = "destroy-a.b\r\nc é"
	if err := h.Deliver(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	got := r.got()[0]
	if id := got.header.Get("webhook-id"); id != "destroy-a_b__c__" {
		t.Errorf("webhook-id is %q", id)
	}
	if err := verify(got, key); err != nil {
		t.Error(err)
	}
}

func TestTriedAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []int{408, 425, 429, 500, 501, 502, 503, 504, 599} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			r := receive(t, status(code), status(code), status(http.StatusOK))
			h, c := telling(t, r.URL)
			if err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy)); err != nil {
				t.Fatal(err)
			}
			r.count(t, 3)
			if want := []time.Duration{500 * time.Millisecond, time.Second}; !slices.Equal(c.pauses, want) {
				t.Errorf("pauses %v, want %v", c.pauses, want)
			}
			stamps := map[string]bool{}
			for _, got := range r.got() {
				if id := got.header.Get("webhook-id"); id != event("").ID {
					t.Errorf("webhook-id is %q", id)
				}
				if err := verify(got, key); err != nil {
					t.Error(err)
				}
				stamps[got.header.Get("webhook-timestamp")] = true
			}
			if len(stamps) != 2 { // 0 s, 0.5 s and 1.5 s, in whole seconds
				t.Errorf("timestamps %v", stamps)
			}
		})
	}
}

func TestGivenUp(t *testing.T) {
	t.Parallel()
	r := receive(t, text(http.StatusBadGateway, "text/plain", "no backend\nat all"))
	h, c := telling(t, r.URL)
	err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy))
	if !errors.Is(err, tenancy.ErrUnavailable) || errors.Is(err, lifecycle.ErrRefused) {
		t.Fatalf("%v", err)
	}
	if got, want := err.Error(), "the hook before_destroy fails: 502: no backend (try 5)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r.count(t, 5)
	if want := []time.Duration{5e8, 1e9, 2e9, 4e9}; !slices.Equal(c.pauses, want) {
		t.Errorf("pauses %v, want %v", c.pauses, want)
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	r := receive(t, status(http.StatusBadGateway))
	h, c := telling(t, r.URL, func(o *hooks.Options) { o.Jitter, o.Tries = func() float64 { return 0.5 }, 12 })
	if err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy)); err == nil {
		t.Fatal("no error")
	}
	want := []time.Duration{375e6, 750e6, 15e8, 3e9, 6e9, 75e8, 75e8, 75e8, 75e8, 75e8, 75e8}
	if !slices.Equal(c.pauses, want) {
		t.Errorf("pauses %v, want %v", c.pauses, want)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value string
		want  time.Duration
	}{
		"seconds":          {"7", 7 * time.Second},
		"a date":           {began.Add(9 * time.Second).Format(http.TimeFormat), 9 * time.Second},
		"a date gone by":   {began.Add(-time.Hour).Format(http.TimeFormat), 500 * time.Millisecond},
		"less than ours":   {"0", 500 * time.Millisecond},
		"too long":         {"86400", 30 * time.Second},
		"a date far away":  {began.AddDate(10, 0, 0).Format(http.TimeFormat), 30 * time.Second},
		"beyond all sense": {"99999999999999999999", 500 * time.Millisecond},
		"negative":         {"-5", 500 * time.Millisecond},
		"not a time":       {"soon", 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, status(http.StatusTooManyRequests, "Retry-After", c.value), status(http.StatusOK))
			h, clock := telling(t, r.URL)
			if err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy)); err != nil {
				t.Fatal(err)
			}
			if len(clock.pauses) != 1 || clock.pauses[0] != c.want {
				t.Errorf("pauses %v, want %v", clock.pauses, c.want)
			}
		})
	}
}

// TestTotal: however many tries are left, there is an end.
func TestTotal(t *testing.T) {
	t.Parallel()
	r := receive(t, status(http.StatusServiceUnavailable, "Retry-After", "30"))
	h, c := telling(t, r.URL, func(o *hooks.Options) { o.Tries = 100 })
	if err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy)); !errors.Is(err, tenancy.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
	r.count(t, 4) // at 0, 30, 60 and 90 s
	if took := c.Now().Sub(began); took > hooks.DefaultTotal {
		t.Errorf("it took %s", took)
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	r := receive(t, status(http.StatusServiceUnavailable))
	ctx, cancel := context.WithCancel(t.Context())
	outcomes := make(chan string, 1)
	h, _ := telling(t, r.URL, func(o *hooks.Options) {
		o.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); <-ctx.Done(); return ctx.Err() }
		o.Outcome = func(_, outcome string) { outcomes <- outcome }
	})
	err := h.Deliver(ctx, event(lifecycle.BeforeDestroy))
	if !errors.Is(err, context.Canceled) || !errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if got := <-outcomes; got != hooks.Canceled {
		t.Errorf("outcome %s", got)
	}
	r.count(t, 1)
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for want, answer := range map[string]http.HandlerFunc{
		hooks.Delivered: status(200), hooks.Refused: status(403), hooks.Unavailable: status(500),
	} {
		var got []string
		h, _ := telling(t, receive(t, answer).URL, func(o *hooks.Options) {
			o.Outcome = func(kind, outcome string) { got = append(got, kind+" "+outcome) }
		})
		_ = h.Deliver(t.Context(), event(lifecycle.SendLink)) // the outcome says it
		if !slices.Equal(got, []string{"send_link " + want}) {
			t.Errorf("%v, want %s once", got, want)
		}
	}
}

// TestOrder: an event that is tried again is not overtaken by the next one.
func TestOrder(t *testing.T) {
	t.Parallel()
	r := receive(t, status(503), status(503), status(200), status(500), status(200), status(200))
	h, _ := telling(t, r.URL)
	var want []string
	for i, tries := range []int{3, 2, 1} {
		e := event(lifecycle.BeforeDestroy)
		e.ID = fmt.Sprintf("hook-%d", i)
		if err := h.Deliver(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		for range tries {
			want = append(want, e.ID)
		}
	}
	var got []string
	for _, r := range r.got() {
		got = append(got, decode(t, r).ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	r := receive(t, status(http.StatusOK))
	h, _ := telling(t, r.URL)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if err := h.Deliver(t.Context(), event(lifecycle.BeforeDestroy)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r.count(t, 40)
}
