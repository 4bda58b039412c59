package app

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// innovateEnabled is the variable that switches the widebands on or off.
const innovateEnabled = "DYNOTAP_DATA_SOURCES__INNOVATE__ENABLED"

// TestMain makes this test binary answer to the name dynotap, so that scripts
// and end-to-end tests run the real program. Those wait for other programs most
// of the time, so many of them run side by side whatever the number of cores.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	// The machine may have serial ports: only the tests of them look at them. The
	// program that a test runs comes by here too.
	if _, given := os.LookupEnv(innovateEnabled); !given {
		if err := os.Setenv(innovateEnabled, "false"); err != nil {
			panic(err)
		}
	}
	programs := map[string]func(){
		"dynotap": func() {
			os.Exit(Main(os.Args[1:], Program{
				Version: "test", Sources: Sources(), Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
			}))
		},
		countingProgram: func() {
			os.Exit(Main(os.Args[1:], Program{
				Version: "test", Sources: []SourceSpec{{Name: "counting", Build: buildCounter}},
				Stdout: os.Stderr, Stderr: os.Stderr, Environ: os.Environ(),
			}))
		},
	}
	maps.Copy(programs, soakPrograms())
	testscript.Main(m, programs)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv(innovateEnabled, "false")
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("LOCALAPPDATA", filepath.Join(env.WorkDir, "home"))
			return nil
		},
	})
}
