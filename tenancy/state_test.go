// State and reason: what an operator may say, and which state wins.

package tenancy_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/gatehouse-edge/gatehouse/tenancy"
)

func TestParseReason(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]tenancy.Reason{
		"PAYMENT_FAILED":           tenancy.ReasonPaymentFailed,
		"  MOVING\n":               tenancy.ReasonMoving,
		"":                         "",
		"Ask Zoë at the front":     "Ask Zoë at the front",
		strings.Repeat("é", 200):   tenancy.Reason(strings.Repeat("é", 200)),
		"<b>not our concern</b> &": "<b>not our concern</b> &",
	} {
		if got, err := tenancy.ParseReason("BlockingReason", in); err != nil || got != want {
			t.Errorf("ParseReason(%q) is %q (%v)", in, got, err)
		}
	}
	for _, in := range []string{strings.Repeat("é", 201), "a\nb", "a\x00b", "a\tb", "a\x7fb", "a\xffb", "\u0085a\u0085b"} {
		_, err := tenancy.ParseReason("BlockingReason", in)
		var field *tenancy.FieldError
		if !errors.As(err, &field) || field.Field != "BlockingReason" || field.Allowed == "" || strings.Contains(err.Error(), in) {
			t.Errorf("ParseReason(%q): %v", in, err)
		}
	}
}

func TestReasonLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "reason")
		r, err := tenancy.ParseReason("f", s)
		if err != nil {
			return
		}
		if again, err := tenancy.ParseReason("f", string(r)); err != nil || again != r {
			t.Fatalf("%q: %q becomes %q (%v)", s, r, again, err)
		}
		if strings.ContainsFunc(string(r), unicode.IsControl) || utf8.RuneCountInString(string(r)) > tenancy.MaxReasonLength {
			t.Fatalf("%q: %q", s, r)
		}
	})
}

func TestState(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{}`:                                 "active",
		`{"blocked":false,"deleting":false}`: "active",
		`{"blocking_reason":"MOVING"}`:       "active",
		`{"blocked":true}`:                   "blocked",
		`{"deleting":true}`:                  "deleting",
		`{"blocked":true,"deleting":true}`:   "deleting",
		`{"blocked":"yes"}`:                  "active",
	} {
		if got := instance(t, doc).State().String(); got != want {
			t.Errorf("%s is %s, want %s", doc, got, want)
		}
	}
	for doc, want := range map[string]tenancy.Reason{
		`{"blocked":true}`:                              tenancy.ReasonUnknown,
		`{"blocked":true,"blocking_reason":""}`:         tenancy.ReasonUnknown,
		`{"blocked":true,"blocking_reason":"MOVING"}`:   tenancy.ReasonMoving,
		`{"blocked":true,"blocking_reason":"a reason"}`: "a reason",
	} {
		if got := instance(t, doc).BlockingReason(); got != want {
			t.Errorf("the reason of %s is %s, want %s", doc, got, want)
		}
	}
}
