package segment

import (
	"errors"
	"fmt"
	"io"

	"dynotap/sample"

	"github.com/parquet-go/parquet-go"
)

// Cursor reads the rows of one channel in order of time. It is not safe for
// concurrent use.
type Cursor struct {
	file     *File
	channel  *Channel
	native   bool
	from, to int64
	row, end int64 // rows of the file still to be read

	group   int
	pages   [columnsAll]*parquet.FilePages
	names   []sample.Quality // of the quality column's codes in this row group
	starts  []int64          // first row of each page, within the row group
	lasts   []int64          // latest time of each page
	points  []Point
	damaged []error
}

// Read begins to read channel i at the times from <= t <= to. With native the
// values are in the native unit, else in Unit.
func (f *File) Read(i int, from, to int64, native bool) *Cursor {
	channel := &f.info.Channels[i]
	c := &Cursor{
		file: f, channel: channel, from: from, to: to, group: -1,
		native: native && channel.Native != NativeSame,
		row:    channel.FirstRow, end: channel.FirstRow + channel.Rows,
	}
	if channel.LastUS < from || channel.FirstUS > to {
		c.row = c.end
	}
	return c
}

// Next gives the next rows, at least one; they are valid until the next call.
// io.EOF ends them. A damaged page is left out: it is in Damage at the end.
func (c *Cursor) Next() ([]Point, error) {
	for c.row < c.end {
		if err := c.enter(); err != nil {
			c.lose(c.groupEnd()-c.row, err)
			continue
		}
		first, last, early := c.page()
		if early {
			c.row = last
			continue
		}
		points, err := c.decode(first, last)
		if err != nil {
			c.leave() // the position within the columns is lost
			c.lose(last-c.row, err)
			continue
		}
		c.row = last
		points = c.cut(points)
		if len(points) > 0 {
			return points, nil
		}
	}
	c.leave()
	return nil, io.EOF
}

// Damage gives what could not be read so far: *DamageError joined, or nil.
func (c *Cursor) Damage() error { return errors.Join(c.damaged...) }

// Close ends the reading early.
func (c *Cursor) Close() { c.leave(); c.row = c.end }

func (c *Cursor) lose(rows int64, err error) {
	c.damaged = append(c.damaged, &DamageError{
		Path: c.file.path, Channel: c.channel.Key, Row: c.row, Rows: rows, Err: err,
	})
	c.row += rows
}

// enter opens the row group that holds the next row.
func (c *Cursor) enter() (err error) {
	if c.group >= 0 && c.row < c.groupEnd() {
		return nil
	}
	c.leave()
	for i := range c.file.groups {
		if g := &c.file.groups[i]; c.row >= g.first && c.row < g.first+g.rows {
			c.group = i
			break
		}
	}
	if err := c.readIndex(); err != nil {
		return err
	}
	wanted := []int{columnTime, columnQuality, columnValue}
	if c.native && c.channel.Native == NativeColumn {
		wanted[2] = columnNative
	}
	for _, column := range wanted {
		chunk := c.file.groups[c.group].chunks[column]
		if chunk == nil {
			return fmt.Errorf("the file has no column %s", columnNames[column].name)
		}
		c.pages[column] = chunk.PagesFrom(c.file.file)
	}
	return nil
}

// readIndex learns where the pages of the row group are.
func (c *Cursor) readIndex() (err error) {
	defer guard(&err)
	g := &c.file.groups[c.group]
	offsets, err := g.chunks[columnTime].OffsetIndex()
	if err != nil {
		return fmt.Errorf("page index: %w", err)
	}
	bounds, err := g.chunks[columnTime].ColumnIndex()
	if err != nil {
		return fmt.Errorf("page index: %w", err)
	}
	c.starts, c.lasts = c.starts[:0], c.lasts[:0]
	for i := range offsets.NumPages() {
		start := offsets.FirstRowIndex(i)
		if i > 0 && start <= c.starts[i-1] || start >= g.rows || bounds.NumPages() != offsets.NumPages() {
			return errors.New("page index is out of order")
		}
		c.starts = append(c.starts, start)
		c.lasts = append(c.lasts, bounds.MaxValue(i).Int64())
	}
	if len(c.starts) == 0 || c.starts[0] != 0 {
		return errors.New("page index is empty")
	}
	for _, column := range []int{columnQuality, columnValue} { // so that seeking knows the pages
		if _, err := g.chunks[column].OffsetIndex(); err != nil {
			return fmt.Errorf("page index: %w", err)
		}
	}
	if native := g.chunks[columnNative]; native != nil {
		if _, err := native.OffsetIndex(); err != nil {
			return fmt.Errorf("page index: %w", err)
		}
	}
	return nil
}

func (c *Cursor) leave() {
	for i, pages := range c.pages {
		if pages != nil {
			_ = pages.Close()
			c.pages[i] = nil
		}
	}
	c.group, c.names = -1, nil
}

func (c *Cursor) groupEnd() int64 {
	g := &c.file.groups[c.group]
	return min(c.end, g.first+g.rows)
}

// page gives the rows of the file up to the end of the page that holds the
// next row, and whether all of them are before the wanted time.
func (c *Cursor) page() (first, last int64, early bool) {
	g := &c.file.groups[c.group]
	at := 0
	for lo, hi := 0, len(c.starts); lo < hi; {
		if mid := (lo + hi) / 2; c.starts[mid] <= c.row-g.first {
			at, lo = mid, mid+1
		} else {
			hi = mid
		}
	}
	last = c.groupEnd()
	if at+1 < len(c.starts) {
		last = min(last, g.first+c.starts[at+1])
	}
	// Another channel shares no page with this one, so the page's latest time
	// is this channel's.
	return c.row, last, c.lasts[at] < c.from
}

// decode reads the rows from first to before last, which lie in one page.
func (c *Cursor) decode(first, last int64) (points []Point, err error) {
	defer guard(&err)
	if n := int(last - first); cap(c.points) < n {
		c.points = make([]Point, n)
	} else {
		c.points = c.points[:n]
	}
	at := first - c.file.groups[c.group].first
	if err := c.times(at); err != nil {
		return nil, fmt.Errorf("column time: %w", err)
	}
	if err := c.values(at); err != nil {
		return nil, fmt.Errorf("column value: %w", err)
	}
	if err := c.qualities(at); err != nil {
		return nil, fmt.Errorf("column quality: %w", err)
	}
	return c.points, nil
}

// readPage gives the page of a column from row at on; its rows must be those
// wanted.
func (c *Cursor) readPage(column int, at int64) (parquet.Page, error) {
	if err := c.pages[column].SeekToRow(at); err != nil {
		return nil, err
	}
	page, err := c.pages[column].ReadPage()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if page.NumRows() < int64(len(c.points)) {
		parquet.Release(page)
		return nil, fmt.Errorf("page has %d rows of %d", page.NumRows(), len(c.points))
	}
	return page, nil
}

func (c *Cursor) times(at int64) error {
	page, err := c.readPage(columnTime, at)
	if err != nil {
		return err
	}
	defer parquet.Release(page)
	data := page.Data()
	times := data.Int64()
	if len(times) < len(c.points) {
		return fmt.Errorf("page has %d values of %d", len(times), len(c.points))
	}
	for i := range c.points {
		c.points[i].Time = times[i]
	}
	return nil
}

func (c *Cursor) values(at int64) error {
	column := columnValue
	if c.native && c.channel.Native == NativeColumn {
		column = columnNative
	}
	page, err := c.readPage(column, at)
	if err != nil {
		return err
	}
	defer parquet.Release(page)
	data := page.Data()
	values := data.Double()
	if len(values) < len(c.points) {
		return fmt.Errorf("page has %d values of %d", len(values), len(c.points))
	}
	for i := range c.points {
		c.points[i].Value = values[i]
	}
	if c.native {
		c.channel.toNative(c.points)
	}
	return nil
}

func (c *Cursor) qualities(at int64) error {
	page, err := c.readPage(columnQuality, at)
	if err != nil {
		return err
	}
	defer parquet.Release(page)
	if c.names == nil {
		if c.names, err = qualityCodes(page.Dictionary()); err != nil {
			return err
		}
	}
	data := page.Data()
	codes := data.Int32()
	if len(codes) < len(c.points) {
		return fmt.Errorf("page has %d values of %d", len(codes), len(c.points))
	}
	for i := range c.points {
		code := codes[i]
		if code < 0 || int(code) >= len(c.names) {
			return fmt.Errorf("code %d of %d", code, len(c.names))
		}
		c.points[i].Quality = c.names[code]
	}
	return nil
}

// qualityCodes reads the dictionary of the quality column.
func qualityCodes(dictionary parquet.Dictionary) ([]sample.Quality, error) {
	if dictionary == nil {
		return nil, errors.New("no dictionary")
	}
	codes := make([]sample.Quality, dictionary.Len())
	for i := range codes {
		text := string(dictionary.Index(int32(i)).ByteArray())
		found := false
		for q := range sample.Qualities {
			if sample.Quality(q).String() == text {
				codes[i], found = sample.Quality(q), true
			}
		}
		if !found {
			return nil, fmt.Errorf("unknown quality %q", text)
		}
	}
	return codes, nil
}

// cut leaves the rows within the wanted times; what follows the first that is
// too late is not wanted either.
func (c *Cursor) cut(points []Point) []Point {
	from, to := 0, len(points)
	for from < to && points[from].Time < c.from {
		from++
	}
	for to > from && points[to-1].Time > c.to {
		to--
		c.row = c.end
	}
	return points[from:to]
}
