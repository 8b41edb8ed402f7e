// Meter: how far something long has come, on a terminal.

package admin

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// meterEvery is the time between two drawings.
const meterEvery = 100 * time.Millisecond

// meter draws one line with a bar, a rate and the time that is left; nothing where
// there is no terminal. It is safe for concurrent use.
type meter struct {
	out   io.Writer
	title string
	total int // 0 where it is not known
	live  bool
	now   func() time.Time

	mu    sync.Mutex
	begin time.Time
	done  int
	drawn time.Time
}

func newMeter(cmd *cobra.Command, title string, total int) *meter {
	m := &meter{out: cmd.ErrOrStderr(), title: title, total: total, now: time.Now, begin: time.Now()}
	if f, ok := m.out.(*os.File); ok {
		m.live = term.IsTerminal(int(f.Fd())) && !wantsJSON(cmd)
	}
	return m
}

// step says that n more are done.
func (m *meter) step(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if now := m.now(); m.live && now.Sub(m.drawn) >= meterEvery {
		m.drawn = now
		fmt.Fprint(m.out, "\r\x1b[K", m.line(now))
	}
}

// line is what is drawn.
func (m *meter) line(now time.Time) string {
	rate := 0.0
	if passed := now.Sub(m.begin).Seconds(); passed > 0 {
		rate = float64(m.done) / passed
	}
	if m.total <= 0 {
		return fmt.Sprintf("%s: %d, %.0f/s", m.title, m.done, rate)
	}
	const width = 20
	filled := min(width, width*m.done/m.total)
	line := fmt.Sprintf("%s: [%s%s] %d/%d, %.0f/s", m.title, strings.Repeat("=", filled), strings.Repeat(" ", width-filled), m.done, m.total, rate)
	if rate > 0 && m.done < m.total {
		left := time.Duration(float64(m.total-m.done) / rate * float64(time.Second))
		line += ", " + left.Round(time.Second).String() + " left"
	}
	return line
}

// clear takes the line away, for another to be written.
func (m *meter) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live {
		fmt.Fprint(m.out, "\r\x1b[K")
		m.drawn = time.Time{}
	}
}

// end takes the line away for good.
func (m *meter) end() { m.clear() }
