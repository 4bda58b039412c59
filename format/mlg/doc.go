// Package mlg reads and writes the binary logs of TunerStudio and
// MegaLogViewer (.mlg; EFI Analytics, "MLG Binary Log Format" 1.0 and 2.0), as
// Speeduino, rusEFI, MegaSquirt and others record them.
//
// The format has no missing value. Both directions use the one that a 32-bit
// float has: a value that is not a number is a missing one, never 0 and never
// the value before.
package mlg
