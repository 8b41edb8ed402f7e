// Certificate words: certificates as people read them.

package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/certificates"
)

// inWords is the line about all names.
func (m *certificatesMeta) inWords(shown int) string {
	var parts []string
	for _, state := range certificateStates {
		if n := m.States[state]; n > 0 || state == certificates.Issued {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if m.Expired > 0 {
		parts = append(parts, fmt.Sprintf("%d expired", m.Expired))
	}
	line := fmt.Sprintf("%d names: %s", m.Names, strings.Join(parts, ", "))
	if shown != m.Names {
		line = fmt.Sprintf("%d of ", shown) + line
	}
	if !m.Leads {
		return line + "; this front door does not order"
	}
	return line + fmt.Sprintf("; this front door orders, with %d names to look at", m.Queue)
}

// next is what is done about a certificate next, and when, for people.
func (c *Certificate) next() string {
	at, what := c.NextAt, "look "
	switch {
	case c.State == string(certificates.Issued):
		what = "renewal "
		if c.RenewAt.After(at) {
			at = c.RenewAt
		}
		if at.IsZero() {
			return ""
		}
	case c.State == string(certificates.Ordered):
		return ""
	case at.IsZero():
		return "look soon"
	}
	return what + at.UTC().Format("2006-01-02 15:04:05Z")
}

func daysInWords(n *int) string {
	switch {
	case n == nil:
		return "-"
	case *n < 0:
		return "expired"
	default:
		return fmt.Sprint(*n)
	}
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// inWords is a name for people: what is, and what to do.
func (d *Domain) inWords() []string {
	what := d.By
	if d.Slug != "" {
		what += " " + d.Slug
	}
	lines := []string{fmt.Sprintf("%s (%s): %s", d.Name, what, d.certificateInWords())}
	return append(lines, d.toDo()...)
}

// toDo is what is in the way of a certificate, and what is to be set.
func (d *Domain) toDo() (lines []string) {
	set := d.toSet()
	if cause := d.Error; cause != "" {
		if len(set) > 0 { // which the cause says at its end
			cause, _, _ = strings.Cut(cause, ": set ")
		}
		lines = append(lines, "    "+cause)
	}
	return append(lines, set...)
}

func (d *Domain) certificateInWords() string {
	if d.Why != "" {
		return d.Why
	}
	return d.Certificate.inWords()
}

// inWords is a certificate in a part of a sentence.
func (c *Certificate) inWords() string {
	next := c.next()
	if next != "" {
		next = ", next " + next
	}
	held := ""
	if c.DaysLeft != nil {
		switch n := *c.DaysLeft; {
		case n < 0:
			held = "expired"
		case n == 0:
			held = "less than a day left"
		default:
			held = fmt.Sprintf("%d days left", n)
		}
		held = fmt.Sprintf(", %s, until %s, by %s", held, c.NotAfter.UTC().Format(time.DateOnly), c.Issuer)
	}
	return c.State + held + next
}

// toSet are the records of the DNS, one of which is to be set, as zone files have them;
// none for a name that has been found to be right.
func (d *Domain) toSet() []string {
	if len(d.DNS) == 0 || d.Proof == proofFound && d.State != string(certificates.Failed) || d.Proof == proofUnchecked && !d.NotAfter.IsZero() {
		return nil
	}
	head := "    Set one of these in the DNS:"
	if len(d.DNS) == 1 {
		head = "    Set this in the DNS:"
	}
	lines := []string{head}
	for _, r := range d.DNS {
		v := r.Value
		switch r.Type {
		case "TXT":
			v = fmt.Sprintf("%q", v)
		case "CNAME":
			v += "."
		}
		lines = append(lines, fmt.Sprintf("      %s. %s %s", r.Name, r.Type, v))
	}
	return lines
}

// pairs are an explanation for people.
func (x *CertificateExplanation) pairs() [][2]string {
	why, state := x.Why, ""
	if x.Served == servedNone {
		why = "none: " + why
	}
	if x.State != stateNone && x.State != stateWildcard {
		state = x.inWords()
	}
	return [][2]string{{"certificate", printable(why)}, {"its state", printable(state)}, {"its error", printable(x.Error)}}
}
