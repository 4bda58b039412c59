package app

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"dynotap/source/innovate"
	"dynotap/source/innovate/serial"
)

const (
	// soakProgram is dynotap with a wideband on a pseudo-terminal, which tells
	// of its own size; see TestMain.
	soakProgram = "dynotap-soak"
	// envTerminal names the file that holds the path of the terminal, which may
	// be unplugged.
	envTerminal = "DYNOTAP_TEST_TERMINAL"
)

// figures are what must not grow.
type figures struct {
	Goroutines  int `json:"goroutines"`
	Heap        int `json:"heap"` // KiB in use
	Resident    int `json:"resident"`
	Descriptors int `json:"descriptors"`
}

// tellFigures writes the program's figures once a second.
func tellFigures(out io.Writer) {
	lines := json.NewEncoder(out)
	for range time.Tick(time.Second) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if lines.Encode(figures{Goroutines: runtime.NumGoroutine(), Heap: int(m.HeapInuse >> 10)}) != nil {
			return
		}
	}
}

// terminal is a System whose only port is wherever the pseudo-terminal is at
// present, if it is plugged in.
type terminal struct{ file string }

func (s terminal) Ports() ([]innovate.PortInfo, error) {
	path, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []innovate.PortInfo{{Name: strings.TrimSpace(string(path)), USB: "0403:6001", Serial: "AB0CDE12"}}, nil
}

func (terminal) Open(name string, baud int) (innovate.Port, error) { return serial.Open(name, baud) }

func buildSoakInnovate(in SourceInput) (LiveSource, error) {
	made, err := innovate.New(innovate.Settings{Name: "innovate"}, innovate.Options{
		Opener: serial.NewFinder(serial.Settings{}, terminal{os.Getenv(envTerminal)}), Logger: in.Logger, Session: in.Session,
	})
	if err != nil {
		return LiveSource{}, err
	}
	return LiveSource{Source: made, Details: func() any { return made.Status() }}, nil
}

// soakPrograms are the further names that the test binary answers to.
func soakPrograms() map[string]func() {
	return map[string]func(){soakProgram: func() {
		go tellFigures(os.Stdout)
		os.Exit(Main(os.Args[1:], Program{
			Version: "test", Sources: []SourceSpec{{Name: "jetdrive", Build: buildJetdrive}, {Name: "innovate", Build: buildSoakInnovate}},
			Stdout: os.Stderr, Stderr: os.Stderr, Environ: os.Environ(),
		}))
	}}
}
