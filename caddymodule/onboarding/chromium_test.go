// This file holds the browser of the tests: finding it, its windows, and what it complains of.

package onboarding_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse-edge/gatehouse/caddymodule/onboarding"
)

// chromium finds the browser. Without one the test fails: skipped, it would
// let a page through that nobody has seen.
func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("GATEHOUSE_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium to look at the pages with: run `make deps`, or set GATEHOUSE_CHROMIUM to the path of one")
	return ""
}

// window is an open browser in front of a site.
type window struct {
	t    *testing.T
	ctx  context.Context
	site *site

	mu    sync.Mutex
	lines []string
}

// site is a front door with the page, and an upstream behind it.
type site struct {
	*httptest.Server
	plane *plane

	mu       sync.Mutex
	inst     onboarding.Instance
	upstream http.HandlerFunc
}

func (s *site) set(change func(*site)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{plane: newPlane(), inst: alice, upstream: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<!doctype html><title>Upstream</title><h1>Upstream</h1>"))
	}}
	p := newPage(t, onboarding.Options{
		Backend: s.plane, Support: "help@example.com",
		HostLimit: onboarding.Limit{Burst: 1000, Every: time.Second}, AddressLimit: onboarding.Limit{Burst: 1000, Every: time.Second},
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		inst, upstream := s.inst, s.upstream
		s.mu.Unlock()
		inst.Onboarded = s.plane.onboarded(inst.ID) != ""
		if !p.Handles(r, inst) {
			upstream(w, r)
			return
		}
		if err := p.Serve(w, r, inst, visitor); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) link() string { return s.URL + "/?registerToken=" + tokenHex() }

// open starts a browser that ends with the test.
func open(t *testing.T, s *site) *window {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoFirstRun, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	limited, cancelLimit := context.WithTimeout(context.Background(), 3*time.Minute)
	allocator, cancelAllocator := chromedp.NewExecAllocator(limited, options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		// Closing it as a person would lets it write its profile before the folder goes.
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("closing the browser: %v", err)
		}
		cancel()
		cancelAllocator()
		cancelLimit()
	})
	v := &window{t: t, ctx: ctx, site: s}
	if err := chromedp.Listen(ctx, v.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `window.violations = [];
		document.addEventListener("securitypolicyviolation", e => window.violations.push(e.violatedDirective + " " + e.blockedURI));`}); err != nil {
		t.Fatal(err)
	}
	return v
}

// hear gathers what the browser's console shows.
func (v *window) hear(event any) {
	line := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// That the document itself has an error status is no complaint about it, and
		// a recommendation may be about a page that is half parsed.
		document := e.Entry.Source == log.EntrySourceNetwork && strings.HasPrefix(e.Entry.URL, v.site.URL)
		if !document && e.Entry.Source != log.EntrySourceRecommendation {
			line = fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		line = fmt.Sprintf("console: %v", e.Args)
	case *runtime.EventExceptionThrown:
		line = fmt.Sprintf("exception: %+v", e.ExceptionDetails)
	}
	if line == "" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lines = append(v.lines, line)
}

// silent checks that the browser had nothing to complain of.
func (v *window) silent() {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, line := range v.lines {
		v.t.Error(line)
	}
	v.lines = nil
	for _, line := range evaluate[[]string](v, `window.violations`) {
		v.t.Errorf("the policy is violated: %s", line)
	}
}

// do runs actions, and fails the test where one fails.
func (v *window) do(actions ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if err := chromedp.Do(v.ctx, actions...); err != nil {
		v.t.Fatal(err)
	}
}

// evaluate gives the value of an expression; a promise's, once it has one.
func evaluate[T any](v *window, expression string) T {
	v.t.Helper()
	value, err := chromedp.Run(v.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// screen is a screen of this size, on a system with this colour scheme.
func screen(width, height int64, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, target, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: height, DeviceScaleFactor: 1,
		})
		return err
	})
}

// scripts turns the page's scripts on or off.
func scripts(on bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}
