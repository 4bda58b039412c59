// Package durable makes the entries of directories survive the loss of power:
// a file that was created, renamed or removed is in its directory for certain
// only once that was flushed too.
package durable
