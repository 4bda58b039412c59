package app

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"dynotap/source/innovate"
	"dynotap/source/innovate/serial"
)

// TestSimulateInnovate opens the port that the simulated device prints and
// hears the device there.
func TestSimulateInnovate(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in, out := io.Pipe()
	ended := make(chan int)
	go func() {
		code := execute(ctx, []string{"simulate", "innovate", "--device", "dlg-1", "--warmup", "0"}, Program{Stdout: out, Stderr: io.Discard})
		out.Close()
		ended <- code
	}()
	said := bufio.NewReader(in)
	path, err := said.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	port, err := serial.Open(strings.TrimSpace(path), 0)
	if err != nil {
		t.Fatal(err)
	}
	heard, err := innovate.Listen(ctx, port, 2*time.Second)
	if err != nil || !heard.Speaks || heard.Device != "DLG-1" || heard.Packets < 5 {
		t.Errorf("heard %+v, %v", heard, err)
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	if rest, err := io.ReadAll(said); err != nil || !strings.Contains(string(rest), "sent ") {
		t.Errorf("said %q, %v", rest, err)
	}
	if code := <-ended; code != exitDone {
		t.Errorf("ended with %d", code)
	}
}
