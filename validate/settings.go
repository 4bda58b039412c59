package validate

import (
	"fmt"
	"math"
	"strings"
)

// Settings are the guide's validation settings, by their names in the file.
type Settings struct {
	// Enabled false lets everything pass untouched.
	Enabled bool `json:"enabled"`
	// StrictMode rejects every sample that is not good.
	StrictMode bool `json:"strict_mode"`
	// MaxValidationErrors bounds the issues that are listed, 0 or more, never
	// those that are counted.
	MaxValidationErrors int `json:"max_validation_errors"`
	// SanitizeValues lets text be trimmed and coerced to a number.
	SanitizeValues bool `json:"sanitize_values"`
	// RejectNaN, RejectInf and RejectOutOfRange drop a bad sample; else it is
	// kept with quality bad.
	RejectNaN        bool `json:"reject_nan"`
	RejectInf        bool `json:"reject_inf"`
	RejectOutOfRange bool `json:"reject_out_of_range"`
	// LogWarnings writes what was found to the log, at a bounded rate.
	LogWarnings bool `json:"log_warnings"`
}

// DefaultSettings are the guide's.
func DefaultSettings() Settings {
	return Settings{
		Enabled: true, MaxValidationErrors: 100, SanitizeValues: true, RejectNaN: true, RejectInf: true, LogWarnings: true,
	}
}

// Kind is what a text was found to be.
type Kind uint8

const (
	// Number is a number, which may be infinite.
	Number Kind = iota
	// Missing is a cell that says there is no value: not zero, no error.
	Missing
	// Malformed is text that should have been a number: no value, an error.
	Malformed
)

// Number reads text as a value. Without SanitizeValues the text has to be
// exactly a number or empty.
func (s Settings) Number(text string, decimal rune) (float64, Kind) {
	if s.SanitizeValues {
		return ParseNumber(text, decimal)
	}
	if text == "" {
		return math.NaN(), Missing
	}
	v, kind := ParseNumber(text, decimal)
	if kind != Number || strings.TrimSpace(text) != text {
		return math.NaN(), Malformed
	}
	return v, kind
}

// Check reports a setting out of its range.
func (s Settings) Check() error {
	if s.MaxValidationErrors < 0 {
		return fmt.Errorf("max_validation_errors is %d: use 0 or more", s.MaxValidationErrors)
	}
	return nil
}
