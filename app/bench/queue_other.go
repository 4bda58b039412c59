//go:build !linux

package bench

import "os"

func syncData(f *os.File) error { return f.Sync() }

// fileSystem is not known here.
func fileSystem(string) (name, note string) { return "", "" }
