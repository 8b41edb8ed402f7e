// Spreads, and ratios of neighbours.

package stats_test

import (
	"testing"

	"github.com/gatehouse-edge/gatehouse/bench/internal/stats"
)

func TestOf(t *testing.T) {
	t.Parallel()
	got := stats.Of([]float64{5, 1, 3, 2, 4})
	if want := (stats.Spread{Min: 1, Q1: 2, Median: 3, Q3: 4, Max: 5, N: 5}); got != want {
		t.Errorf("%+v", got)
	}
	if got := stats.Of(nil); got.N != 0 {
		t.Errorf("%+v", got)
	}
}

// TestRatio: a machine that is twice as slow in one round does not change a ratio.
func TestRatio(t *testing.T) {
	t.Parallel()
	s := stats.Samples{
		{Subject: "a", Round: 0, Values: map[string]float64{"cpu": 10}}, {Subject: "b", Round: 0, Values: map[string]float64{"cpu": 20}},
		{Subject: "b", Round: 1, Values: map[string]float64{"cpu": 40}}, {Subject: "a", Round: 1, Values: map[string]float64{"cpu": 20}},
		{Subject: "a", Round: 2, Values: map[string]float64{"cpu": 20}},
	}
	if got := s.Ratio("a", "b", "cpu"); got.Min != 0.5 || got.Max != 0.5 || got.N != 2 {
		t.Errorf("%+v", got)
	}
	if got := s.Quantile("b", "cpu", 0.5); got != 30 {
		t.Errorf("%g", got)
	}
	if got := s.Difference("b", "a", "cpu"); got.Min != 10 || got.Max != 20 {
		t.Errorf("%+v", got)
	}
}
