// Command dynotap captures what a dyno cell says, checks it, and keeps it.
package main

import (
	"os"

	"dynotap/app"
)

// version is set by the linker.
var version = "unknown"

func main() {
	os.Exit(app.Main(os.Args[1:], app.Program{
		Version: version, Sources: app.Sources(),
		Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
	}))
}
