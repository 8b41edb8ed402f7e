// Lengths of time as operators write them.

package admin_test

import (
	"testing"
	"time"

	"github.com/gatehouse-edge/gatehouse/admin"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90m": 90 * time.Minute, "12h": 12 * time.Hour, "1d": day, "30d": 30 * day, "2w": 14 * day, "1d12h": 36 * time.Hour, "24h0m0s": day,
		"-1h": -time.Hour,
	} {
		if got, err := admin.ParseDuration(text); got != want || err != nil {
			t.Errorf("%s is %s (%v), want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "d", "30", "1.5d", "-1d", "1d-2h", "1d2w", "999999w", "9999999d", "soon"} {
		if got, err := admin.ParseDuration(bad); err == nil {
			t.Errorf("%q is %s", bad, got)
		}
	}
}
