//go:build !unix

package pipeline

import (
	"os"
	"testing"
)

func TestPromise1KillNineLosesNothingAccepted(t *testing.T) {
	if dir := os.Getenv(envChild); dir != "" {
		runChild(t, dir)
		return
	}
	const why = "not available on this system: a child cannot inherit a pipe as file 3"
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
