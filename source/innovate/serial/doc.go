// Package serial finds and opens the serial ports of Innovate devices: raw, 8
// data bits, no parity, one stop bit, no flow control, for this program alone.
//
// Finder is the innovate.Opener: it opens the port that is configured, or
// listens on all ports that nobody holds and takes the one that speaks. It
// knows an adapter that is plugged in again by its USB serial number, whatever
// the system calls its port then.
package serial
