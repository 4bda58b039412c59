// Package device is a simulated Innovate device: it sends true bytes every
// 81.92 ms, follows the air-fuel ratios that a function gives, warms up first,
// and on request loses, inserts and changes bytes, sits behind flow control,
// falls silent and is unplugged. It sends onto a pseudo-terminal or into a pipe
// within the program.
package device
