package app

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/schollz/progressbar/v3"
)

// barPace is how often the bar is drawn at most.
const barPace = 100 * time.Millisecond

// importBar shows on a terminal how far an import is, its rate and the time
// left; elsewhere it shows nothing. A file counts half when it has been copied
// and whole when it has been read.
type importBar struct {
	mu  sync.Mutex
	bar *progressbar.ProgressBar // nil: no terminal
}

func newImportBar(out io.Writer, files []string) *importBar {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(file.Fd()) {
		return &importBar{}
	}
	var total int64
	for _, path := range files {
		if info, err := os.Stat(path); err == nil {
			total += info.Size()
		}
	}
	return &importBar{bar: progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(out), progressbar.OptionShowBytes(true), progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetDescription("importing"), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
		progressbar.OptionUseIECUnits(false), progressbar.OptionThrottle(barPace),
	)}
}

// pause takes the bar away for a line of text; the function it gives puts it
// back.
func (b *importBar) pause() func() {
	if b.bar == nil {
		return func() {}
	}
	b.mu.Lock()
	_ = b.bar.Clear() // a terminal that is gone is noticed by the text
	return func() {
		_ = b.bar.RenderBlank()
		b.mu.Unlock()
	}
}

func (b *importBar) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}

// barShare is one file's part of the bar.
type barShare struct {
	bar          *importBar
	copied, done int64
	shown        int64
}

func (b *importBar) file() *barShare { return &barShare{bar: b} }

func (s *barShare) show() {
	if s.bar == nil || s.bar.bar == nil {
		return
	}
	now := (s.copied + s.done) / 2
	s.bar.mu.Lock()
	defer s.bar.mu.Unlock()
	_ = s.bar.bar.Add64(now - s.shown)
	s.shown = now
}

// read takes how many bytes have been decoded.
func (s *barShare) read(done int64) {
	s.done = done
	s.show()
}

// end completes a file that was not read to its end, such as one that is there
// already.
func (s *barShare) end() { s.read(s.copied) }

// reader counts what is copied.
func (s *barShare) reader(in io.Reader) io.Reader { return &copied{in, s} }

type copied struct {
	in    io.Reader
	share *barShare
}

func (c *copied) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.share.copied += int64(n)
	c.share.show()
	return n, err
}
