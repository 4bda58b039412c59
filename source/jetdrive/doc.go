// Package jetdrive listens to a JETDRIVE network (PROTOCOLS 1): it receives the
// multicast, follows each host's numbering and clock, keeps the providers'
// channel lists, and hands out batches of samples. It never sends load control
// or brake, and with ListenOnly nothing at all.
//
// The pure parts stand apart from the socket: sequence (loss, reordering,
// duplicates), hostClock (a provider's timestamps to session time), registry
// (hosts, providers, channels) and receiver (one datagram at a time). Node is
// what transmits: host id, pings and answers; package provider uses it too.
package jetdrive
