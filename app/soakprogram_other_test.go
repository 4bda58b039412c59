//go:build !linux

package app

// soakPrograms are of Linux only.
func soakPrograms() map[string]func() { return nil }
