package store

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"sort"

	"dynotap/store/segment"
)

// mergeBlock is how many points a merger hands on at once where its streams
// interleave.
const mergeBlock = 1024

// stream gives a channel's points in order of time; io.EOF ends it. The points
// are valid until the next call.
type stream interface {
	next() ([]Point, error)
	close()
}

// merger puts streams into one order of time. Streams are opened when their
// time comes, so that of files that follow each other one is open at a time.
type merger struct {
	inputs []*input
}

type input struct {
	stream stream
	block  []Point
	first  int64 // no point before this time is left
}

// add adds a stream that begins at time first or later. Of points of one time
// those of the stream that was added first come first.
func (m *merger) add(s stream, first int64) {
	m.inputs = append(m.inputs, &input{stream: s, first: first})
}

func (m *merger) run(emit func([]Point) error) error {
	defer func() {
		for _, in := range m.inputs {
			in.stream.close()
		}
	}()
	buffer := make([]Point, 0, mergeBlock)
	flush := func() error {
		if len(buffer) == 0 {
			return nil
		}
		err := emit(buffer)
		buffer = buffer[:0]
		return err
	}
	for len(m.inputs) > 0 {
		at, limit := m.lowest()
		in := m.inputs[at]
		if len(in.block) == 0 {
			if err := m.refill(at); err != nil {
				return err
			}
			continue
		}
		n := sort.Search(len(in.block), func(i int) bool { return in.block[i].Time > limit })
		run := in.block[:n]
		if len(run) < mergeBlock/8 && len(m.inputs) > 1 {
			run = run[:min(n, cap(buffer)-len(buffer))]
			buffer = append(buffer, run...)
			if len(buffer) == cap(buffer) {
				if err := flush(); err != nil {
					return err
				}
			}
		} else {
			if err := flush(); err != nil {
				return err
			}
			if err := emit(run); err != nil {
				return err
			}
		}
		in.block = in.block[len(run):]
		if len(in.block) > 0 {
			in.first = in.block[0].Time
		} else if len(run) > 0 {
			in.first = run[len(run)-1].Time
		}
	}
	return flush()
}

// lowest chooses the input whose next point comes first, and the latest time
// up to which its points come before those of all others.
func (m *merger) lowest() (at int, limit int64) {
	for i, in := range m.inputs {
		if in.first < m.inputs[at].first {
			at = i
		}
	}
	limit = math.MaxInt64
	for i, in := range m.inputs {
		switch {
		case i > at:
			limit = min(limit, in.first)
		case i < at: // it begins later, or it had been chosen
			limit = min(limit, in.first-1)
		}
	}
	return at, limit
}

// refill gets an input's next block and drops the input at its end.
func (m *merger) refill(at int) error {
	in := m.inputs[at]
	block, err := in.stream.next()
	switch {
	case errors.Is(err, io.EOF):
		in.stream.close()
		m.inputs = append(m.inputs[:at], m.inputs[at+1:]...)
	case err != nil:
		return err
	default:
		in.block = block
		in.first = block[0].Time
	}
	return nil
}

// liveStream gives what was gathered.
type liveStream struct{ points []Point }

func (s *liveStream) next() ([]Point, error) {
	if len(s.points) == 0 {
		return nil, io.EOF
	}
	points := s.points
	s.points = nil
	return points, nil
}

func (*liveStream) close() {}

// fileStream reads one channel of one sealed file. Damage goes to the reading
// and ends the stream, not the reading.
type fileStream struct {
	reading  *reading
	channel  *Channel // as the reader of the store sees it
	path     string
	index    int
	from, to int64

	cursor  *segment.Cursor
	convert bool
	done    bool
}

func (s *fileStream) next() ([]Point, error) {
	if s.done {
		return nil, io.EOF
	}
	if s.cursor == nil {
		file, err := s.reading.files.get(s.path)
		if err != nil {
			s.done = true
			if errors.Is(err, fs.ErrNotExist) {
				err = &segment.DamageError{Path: s.path, Err: err}
			}
			s.reading.noteDamage(err)
			return nil, io.EOF
		}
		if err := s.begin(file); err != nil {
			s.close()
			s.reading.noteDamage(err)
			return nil, io.EOF
		}
	}
	points, err := s.cursor.Next()
	if err != nil {
		s.close()
		return nil, io.EOF
	}
	if s.convert {
		convert(points, s.channel)
	}
	return points, nil
}

func (s *fileStream) begin(file *segment.File) error {
	channels := file.Info().Channels
	if s.index >= len(channels) || channels[s.index].Key != s.channel.Key {
		s.reading.files.put(s.path)
		s.done = true
		return &segment.DamageError{Path: s.path, Err: errors.New("its channels are not those of the catalog")}
	}
	// A file that was sealed under another description keeps its values in
	// another unit: they are had by way of the native ones.
	s.convert = !s.reading.q.Native && channels[s.index].Conversion() != s.channel.Conversion()
	s.cursor = file.Read(s.index, s.from, s.to, s.reading.q.Native || s.convert)
	return nil
}

func (s *fileStream) close() {
	if s.cursor != nil {
		s.reading.noteDamage(s.cursor.Damage())
		s.cursor.Close()
		s.cursor = nil
		s.reading.files.put(s.path)
	}
	s.done = true
}

// noteDamage notes an error once; a file that cannot be opened gives the same
// for each channel.
func (r *reading) noteDamage(err error) {
	if err == nil {
		return
	}
	for _, known := range r.damage {
		if known.Error() == err.Error() {
			return
		}
	}
	r.damage = append(r.damage, err)
}

// maxOpenFiles is how many files a reading keeps open for the next channel.
const maxOpenFiles = 16

// fileCache opens each file once for several channels.
type fileCache struct {
	open  func(path string) (*segment.File, error)
	files map[string]*cachedFile
}

type cachedFile struct {
	file *segment.File
	err  error
	used int
}

// get opens a file or gives it again; put gives it back.
func (c *fileCache) get(path string) (*segment.File, error) {
	f, ok := c.files[path]
	if !ok {
		f = new(cachedFile)
		f.file, f.err = c.open(path)
		if c.files == nil {
			c.files = make(map[string]*cachedFile)
		}
		c.files[path] = f
	}
	if f.err != nil {
		return nil, f.err
	}
	f.used++
	return f.file, nil
}

func (c *fileCache) put(path string) {
	f := c.files[path]
	f.used--
	if f.used == 0 && len(c.files) > maxOpenFiles {
		_ = f.file.Close() // only read
		delete(c.files, path)
	}
}

func (c *fileCache) closeAll() {
	for path, f := range c.files {
		if f.file != nil {
			_ = f.file.Close()
		}
		delete(c.files, path)
	}
}
