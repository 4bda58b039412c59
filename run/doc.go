// Package run makes runs of what was captured: every session, the pulls within
// it, and the recordings that a provider or the user starts and stops, each
// with its summary.
//
// It reads committed batches only, by a cursor, and never touches the samples:
// a run is an interval of its capture (DESIGN, Words).
package run
