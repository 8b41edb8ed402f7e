// Package stats sums up what was measured in many slices.
package stats

import "slices"

// Spread is a median with its quartiles and extremes.
type Spread struct {
	Min, Q1, Median, Q3, Max float64
	N                        int
}

// Of is the spread of values; all zero where there are none.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	return Spread{Min: v[0], Q1: quantile(v, 0.25), Median: quantile(v, 0.5), Q3: quantile(v, 0.75), Max: v[len(v)-1], N: len(v)}
}

func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Sample is one slice of one subject.
type Sample struct {
	Subject string             `json:"subject"`
	Round   int                `json:"round"` // slices of one round are neighbours in time
	Values  map[string]float64 `json:"values"`
}

// Samples are the slices of a figure.
type Samples []Sample

// Of is the spread of one value over a subject's slices.
func (s Samples) Of(subject, value string) Spread { return Of(s.all(subject, value)) }

// Quantile is what a part q of a subject's values are at or below; 0 where there are none.
func (s Samples) Quantile(subject, value string, q float64) float64 {
	v := s.all(subject, value)
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return quantile(v, q)
}

func (s Samples) all(subject, value string) (out []float64) {
	for _, sample := range s {
		if v, ok := sample.Values[value]; ok && sample.Subject == subject {
			out = append(out, v)
		}
	}
	return out
}

// Ratio is the spread of a subject's value divided by that of another subject in the
// same round: so what the machine was doing meanwhile is in both.
func (s Samples) Ratio(subject, base, value string) Spread {
	below := map[int]float64{}
	for _, sample := range s {
		if v := sample.Values[value]; v != 0 && sample.Subject == base {
			below[sample.Round] = v
		}
	}
	var ratios []float64
	for _, sample := range s {
		v, ok := sample.Values[value]
		if b := below[sample.Round]; ok && b != 0 && sample.Subject == subject {
			ratios = append(ratios, v/b)
		}
	}
	return Of(ratios)
}

// Difference is as Ratio, with what a subject has more.
func (s Samples) Difference(subject, base, value string) Spread {
	below := map[int]float64{}
	for _, sample := range s {
		if v, ok := sample.Values[value]; ok && sample.Subject == base {
			below[sample.Round] = v
		}
	}
	var more []float64
	for _, sample := range s {
		v, ok := sample.Values[value]
		if b, has := below[sample.Round]; ok && has && sample.Subject == subject {
			more = append(more, v-b)
		}
	}
	return Of(more)
}
