package innovate

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"dynotap/internal/clock"
)

// closePatience is how long Close waits for the look at the port that is under
// way before it closes the port beside it, and then for that to help.
const closePatience = 200 * time.Millisecond

// errClosed ends a feed that was closed.
var errClosed = errors.New("port closed")

// chunk is bytes that arrived together.
type chunk struct {
	data []byte
	at   int64 // session time, µs
}

// feed reads a port in a goroutine that does nothing else, so that arrival
// times are right and nothing is missed while the queue is full.
type feed struct {
	port     Port
	session  *clock.Session
	interval time.Duration
	limit    int           // bytes that may wait
	ready    chan struct{} // holds a token while chunks wait
	stop     chan struct{}
	done     chan struct{} // closed when the port is closed
	once     sync.Once

	mu       sync.Mutex
	chunks   []chunk
	waiting  int    // bytes in chunks
	received uint64 // bytes
	dropped  uint64 // bytes, the oldest, because limit was reached
	lastAt   int64  // of the newest bytes; 0: none
	err      error  // why it ended
	closeErr error
}

func newFeed(port Port, session *clock.Session, interval time.Duration, limit int) *feed {
	f := &feed{
		port: port, session: session, interval: interval, limit: limit,
		ready: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go f.run()
	return f
}

func (f *feed) run() {
	defer close(f.done)
	buf := make([]byte, 512)
	err := errClosed
	for !f.stopping() {
		n, readErr := f.port.Read(buf, f.interval)
		if n > 0 {
			f.put(buf[:n], f.session.Micros())
		}
		if readErr != nil {
			err = readErr
			break
		}
	}
	closeErr := f.port.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.closeErr = err, closeErr
}

func (f *feed) stopping() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

func (f *feed) put(data []byte, at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.received += uint64(len(data))
	f.lastAt = at
	f.chunks = append(f.chunks, chunk{append([]byte(nil), data...), at})
	f.waiting += len(data)
	for f.waiting > f.limit && len(f.chunks) > 1 {
		old := len(f.chunks[0].data)
		f.waiting -= old
		f.dropped += uint64(old)
		f.chunks = f.chunks[1:]
	}
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// take gives what has come since the last time.
func (f *feed) take() []chunk {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.chunks
	f.chunks, f.waiting = nil, 0
	select {
	case <-f.ready:
	default:
	}
	return out
}

// counts gives the bytes received and dropped, and when the newest came.
func (f *feed) counts() (received, dropped uint64, lastAt int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.received, f.dropped, f.lastAt
}

// failure says why the feed ended; it may be asked when done is closed.
func (f *feed) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// close ends the feed and closes the port.
func (f *feed) close() error {
	f.once.Do(func() { close(f.stop) })
	if !f.ended() {
		if err := f.port.Close(); err != nil {
			return fmt.Errorf("close port during a read: %w", err)
		}
		if !f.ended() {
			return nil // a driver that hangs: there is no more that can be done
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closeErr
}

// ended waits a little for the end of run.
func (f *feed) ended() bool {
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	select {
	case <-f.done:
		return true
	case <-patience.C:
		return false
	}
}
