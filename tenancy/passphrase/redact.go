// Redaction: whatever way Input and Material are printed, nothing of them shows.

package passphrase

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Format implements fmt.Formatter, for every verb.
func (Input) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String implements fmt.Stringer.
func (Input) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Input) GoString() string { return redacted }

// MarshalJSON implements json.Marshaler.
func (Input) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// LogValue implements slog.LogValuer.
func (Input) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format implements fmt.Formatter, for every verb.
func (Material) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String implements fmt.Stringer.
func (Material) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Material) GoString() string { return redacted }

// MarshalJSON implements json.Marshaler.
func (Material) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// LogValue implements slog.LogValuer.
func (Material) LogValue() slog.Value { return slog.StringValue(redacted) }

// Interface guards
var (
	_ fmt.Formatter  = Input{}
	_ fmt.Stringer   = Input{}
	_ fmt.GoStringer = Input{}
	_ json.Marshaler = Input{}
	_ slog.LogValuer = Input{}
	_ fmt.Formatter  = Material{}
	_ fmt.Stringer   = Material{}
	_ fmt.GoStringer = Material{}
	_ json.Marshaler = Material{}
	_ slog.LogValuer = Material{}
)
