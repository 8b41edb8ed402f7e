// Duration: lengths of time as operators write them, with days.

package admin

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"time"
)

// days is a number of days or weeks, with or without what Go's durations know after
// it: 30d, 2w, 1d12h.
var days = regexp.MustCompile(`^(\d{1,6})([dw])(.*)$`)

var errDuration = errors.New("not a length of time, as in 30d, 12h or 90m")

// parseDuration reads a length of time: what time.ParseDuration knows, and days (d,
// of 24 hours) and weeks (w) before that. A bare 0 does too.
func parseDuration(s string) (time.Duration, error) {
	m := days.FindStringSubmatch(s)
	if m == nil {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, errDuration
	}
	unit := 24 * time.Hour
	if m[2] == "w" {
		unit *= 7
	}
	if int64(n) > math.MaxInt64/int64(unit)/2 {
		return 0, errDuration
	}
	total := time.Duration(n) * unit
	if m[3] != "" {
		rest, err := time.ParseDuration(m[3])
		if err != nil || rest < 0 {
			return 0, errDuration
		}
		total += rest
	}
	return total, nil
}
