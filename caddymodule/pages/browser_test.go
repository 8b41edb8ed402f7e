// This file holds the tests in a real browser: what a person reads, that it
// fits, that dark is dark, and that the policy holds without a complaint.

package pages_test

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

	"github.com/gatehouse-edge/gatehouse/caddymodule/pages"
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

// browse starts a browser that ends with the test.
func browse(t *testing.T) context.Context {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoFirstRun, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	limited, cancelLimit := context.WithTimeout(context.Background(), 2*time.Minute)
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
	return ctx
}

// window is a screen of this size, on a system with this colour scheme.
func window(width, height int64, scheme string) chromedp.Action[chromedp.Void] {
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

// complaints gathers what the browser's console shows, and the violations that the page itself hears of.
type complaints struct {
	mu    sync.Mutex
	lines []string
}

func (c *complaints) add(format string, values ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, fmt.Sprintf(format, values...))
}

// take empties the list.
func (c *complaints) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.lines
	c.lines = nil
	return lines
}

func (c *complaints) listen(ctx context.Context, address string) error {
	return chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			// That the document itself has an error status is no complaint about it.
			if e.Entry.Source == log.EntrySourceNetwork && strings.HasPrefix(e.Entry.URL, address) {
				return
			}
			c.add("%s: %s", e.Entry.Source, e.Entry.Text)
		case *runtime.EventConsoleAPICalled:
			c.add("console: %v", e.Args)
		case *runtime.EventExceptionThrown:
			c.add("exception: %v", e.ExceptionDetails)
		case *page.EventJavascriptDialogOpening:
			c.add("dialog: %s", e.Message)
		}
	})
}

// seen is what the page looks like to a person.
type seen struct {
	Title, Text, Lang string
	ScrollWidth       int
	ScrollHeight      int
	Background, Card  string
	Links             []string
	Violations        []string
	Owned             bool
	H1                string
	Cut               []string // elements whose text does not fit
}

const look = `({
	Title: document.title,
	Text: document.body.innerText,
	Lang: document.documentElement.lang,
	ScrollWidth: document.documentElement.scrollWidth,
	ScrollHeight: document.documentElement.scrollHeight,
	Background: getComputedStyle(document.body).backgroundColor,
	Card: getComputedStyle(document.querySelector("main")).backgroundColor,
	Links: [...document.links].map(a => a.href),
	Violations: window.violations,
	Owned: window.owned === true,
	H1: document.querySelector("h1").innerText,
	Cut: [...document.querySelectorAll("main *")].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0).map(e => e.outerHTML),
})`

func TestInABrowser(t *testing.T) {
	s := builtIn(t)
	var mu sync.Mutex
	var refusal pages.Refusal
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		f := refusal
		mu.Unlock()
		if err := s.Write(w, r, f); err != nil {
			t.Errorf("Write: %v", err)
		}
	}))
	t.Cleanup(server.Close)

	ctx := browse(t)
	var heard complaints
	if err := heard.listen(ctx, server.URL); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `window.violations = [];
		document.addEventListener("securitypolicyviolation", e => window.violations.push(e.violatedDirective + " " + e.blockedURI));`}); err != nil {
		t.Fatal(err)
	}
	// visit looks at a refusal at one width in one colour scheme.
	visit := func(f pages.Refusal, width int64, scheme string) seen {
		t.Helper()
		mu.Lock()
		refusal = f
		mu.Unlock()
		if err := chromedp.Do(ctx, window(width, 800, scheme), chromedp.Navigate(server.URL+"/some/page")); err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		got, err := chromedp.Run(ctx, chromedp.Evaluate[seen](look))
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		for _, line := range heard.take() {
			t.Errorf("%s: %s", f.Code, line)
		}
		for _, line := range got.Violations {
			t.Errorf("%s: the policy is violated: %s", f.Code, line)
		}
		if got.Owned {
			t.Errorf("%s: a script of somebody else ran", f.Code)
		}
		if int64(got.ScrollWidth) > width {
			t.Errorf("%s %s: %d px wide in a window of %d px", f.Locale, f.Code, got.ScrollWidth, width)
		}
		for _, element := range got.Cut {
			t.Errorf("%s %s at %d px: wider than its place: %s", f.Locale, f.Code, width, element)
		}
		return got
	}

	t.Run("what a person reads", func(t *testing.T) {
		for locale, want := range map[string][]string{
			"en": {"This site is on hold", "A payment for this site did not go through", "Address", "Support"},
			"fr": {"Ce site est suspendu", "Un paiement pour ce site n’a pas abouti", "Adresse", "Assistance"},
			"ja": {"このサイトは一時停止中です", "お支払いが確認できなかった", "アドレス", "お問い合わせ"},
		} {
			got := visit(pages.Refusal{Code: pages.PaymentFailed, Host: "bücher.example.com", Support: "help@example.com", Locale: locale}, 1280, "light")
			for _, text := range append(want, "bücher.example.com", "help@example.com", "PAYMENT_FAILED", "402") {
				if !strings.Contains(got.Text, text) {
					t.Errorf("%s: %q cannot be read:\n%s", locale, text, got.Text)
				}
			}
			if got.H1 != want[0] || got.Title != want[0]+" · bücher.example.com" || got.Lang != locale {
				t.Errorf("%s: h1 %q, title %q, lang %q", locale, got.H1, got.Title, got.Lang)
			}
			if len(got.Links) != 1 || got.Links[0] != "mailto:help@example.com" {
				t.Errorf("%s: links %q", locale, got.Links)
			}
		}
	})

	t.Run("everything fits", func(t *testing.T) {
		codes := append(pages.Codes(), "Averyveryverylongwordthatanoperatorwrotewithoutanyspaceinitatallsothatitcannotbebrokenwhereonewouldlike")
		for _, locale := range []string{"en", "fr", "es", "de", "nl", "ja"} {
			for _, code := range codes {
				visit(pages.Refusal{
					Code: code, Locale: locale, Host: strings.Repeat("a-very-long-label.", 8) + "example.com",
					Support: "https://support.example.com/a/rather/long/path/to/the/help/pages?with=a&query=too",
				}, 320, "dark")
			}
		}
	})

	t.Run("dark is dark", func(t *testing.T) {
		light := visit(pages.Refusal{Code: pages.Moving}, 800, "light")
		dark := visit(pages.Refusal{Code: pages.Moving}, 800, "dark")
		if light.Background != "rgb(244, 245, 247)" || light.Card != "rgb(255, 255, 255)" {
			t.Errorf("light: %s, %s", light.Background, light.Card)
		}
		if dark.Background != "rgb(17, 21, 27)" || dark.Card != "rgb(26, 32, 41)" {
			t.Errorf("dark: %s, %s", dark.Background, dark.Card)
		}
	})

	t.Run("nothing of a reason runs", func(t *testing.T) {
		for _, reason := range []string{
			"<script>window.owned = true; alert(1)</script>",
			`"><img src=x onerror="window.owned = true">`,
			"</title></style></main><svg onload=window.owned=true>",
		} {
			got := visit(pages.Refusal{Code: reason, Host: reason, Support: reason}, 320, "light")
			if strings.Count(got.Text, reason) != 3 || !strings.Contains(got.Title, reason) {
				t.Errorf("%q cannot be read three times:\n%s", reason, got.Text)
			}
		}
	})

	t.Run("the browser minds the policy", func(t *testing.T) {
		mu.Lock()
		refusal = pages.Refusal{Code: pages.Moving}
		mu.Unlock()
		if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/")); err != nil {
			t.Fatal(err)
		}
		// A script of the developer tools adds what an injection would: the
		// violations show that the checks above would have seen one.
		blocked, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`(async () => {
			const heard = new Promise(done => document.addEventListener("securitypolicyviolation", () => window.violations.length >= 2 && done()));
			document.body.insertAdjacentHTML("beforeend", "<p style='color:red'>x</p><img src='https://example.invalid/x.png'>");
			await heard;
			return window.violations;
		})()`, chromedp.EvalAwaitPromise))
		if err != nil || len(blocked) < 2 {
			t.Errorf("blocked %q, %v", blocked, err)
		}
	})
}
