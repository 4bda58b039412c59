package segment

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"dynotap/sample"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// pageRows bounds a page: small enough that a reader of a short stretch
	// decodes little, large enough to compress well.
	pageRows = 16 << 10
	// groupRows and groupBytes bound a row group: other programs' readers hold
	// one in memory as a whole, and the writer holds it encoded, some 4 bytes a
	// row.
	groupRows  = 512 << 10
	groupBytes = 3 << 20
	// compressionWindow covers a page, so that the compressor needs little
	// memory.
	compressionWindow = 256 << 10
)

// createdBy is the footer's name for the program that wrote the file.
const createdBy = "dynotap"

// Writer writes one file, channel by channel. It holds a page of rows, the
// encoded pages of a row group and the index of all pages. It is not safe for
// concurrent use.
type Writer struct {
	buffer  *bufio.Writer
	offset  int64
	err     error
	info    Info
	zstd    *zstd.Encoder
	scratch scratch
	packed  []byte

	channel int     // the channel that rows came for last
	page    []Point // its rows that are not encoded yet
	last    int64   // the time of its last row
	rows    int64   // of the row group
	columns []column
	groups  []group
}

// column is one column of the row group under way.
type column struct {
	words   texts
	body    bytes.Buffer // the encoded pages
	meta    format.ColumnMetaData
	offsets format.OffsetIndex // relative to body
	index   format.ColumnIndex
}

// group is a row group that was written, with its columns' page indexes.
type group struct {
	meta    format.RowGroup
	offsets []format.OffsetIndex
	indexes []format.ColumnIndex
}

// NewWriter begins a file on w. The channels of info are in ascending order of
// their keys, each with its Native form; their figures are counted here.
func NewWriter(w io.Writer, info Info) (*Writer, error) {
	info.Format = Format
	info.Rows = 0
	info.Channels = append([]Channel(nil), info.Channels...)
	columns := columnNative
	for i := range info.Channels {
		c := &info.Channels[i]
		if i > 0 && info.Channels[i-1].Key >= c.Key {
			return nil, fmt.Errorf("channel %q does not follow %q", c.Key, info.Channels[i-1].Key)
		}
		if c.Native == NativeColumn {
			columns = columnsAll
		}
		c.FirstRow, c.Rows, c.FirstUS, c.LastUS = 0, 0, 0, 0
		c.Good, c.Suspect, c.Bad, c.Min, c.Max = 0, 0, 0, nil, nil
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(compressionWindow), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("start compression: %w", err)
	}
	out := &Writer{
		buffer: bufio.NewWriterSize(w, 64<<10), info: info, zstd: encoder,
		page: make([]Point, 0, pageRows), columns: make([]column, columns),
	}
	out.beginGroup()
	out.write([]byte("PAR1"))
	return out, out.err
}

// Write appends rows of a channel, the index into the info's channels. Rows
// come in ascending order of their channels, and for each in order of time;
// their values are native. It keeps nothing of points.
func (w *Writer) Write(channel int, points []Point) error {
	if channel < w.channel || channel >= len(w.info.Channels) {
		return fmt.Errorf("rows of channel %d after those of channel %d of %d", channel, w.channel, len(w.info.Channels))
	}
	if channel != w.channel {
		w.endPage()
		w.channel = channel
	}
	for len(points) > 0 && w.err == nil {
		n := min(len(points), pageRows-len(w.page))
		w.page = append(w.page, points[:n]...)
		points = points[n:]
		if len(w.page) == pageRows {
			w.endPage()
		}
	}
	return w.err
}

// endPage encodes the rows at hand as a page of every column.
func (w *Writer) endPage() {
	if len(w.page) == 0 || w.err != nil {
		return
	}
	c := &w.info.Channels[w.channel]
	if c.Rows == 0 {
		w.last = w.page[0].Time
	}
	for i := range w.page {
		if w.page[i].Time < w.last {
			w.err = fmt.Errorf("rows of channel %q are not in order of time", c.Key)
			return
		}
		w.last = w.page[i].Time
	}
	w.scratch.begin(c, w.page)
	c.count(w.page, w.scratch.values)
	if w.info.Rows == 0 {
		w.info.FirstUS, w.info.LastUS = c.FirstUS, c.LastUS
	}
	w.info.FirstUS, w.info.LastUS = min(w.info.FirstUS, c.FirstUS), max(w.info.LastUS, c.LastUS)
	w.info.Rows += int64(len(w.page))
	for i := range w.columns {
		w.addPage(i, c)
	}
	w.rows += int64(len(w.page))
	w.page = w.page[:0]
	held := 0
	for i := range w.columns {
		held += w.columns[i].body.Len()
	}
	if w.rows+pageRows > groupRows || held > groupBytes {
		w.endGroup()
	}
}

// addPage encodes the page of one column.
func (w *Writer) addPage(i int, c *Channel) {
	kind, column := &columnNames[i], &w.columns[i]
	body, b, err := w.scratch.encode(i, c, w.page, &column.words)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode column %s: %w", kind.name, err)
	}
	start := column.body.Len()
	w.putPage(&column.body, format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(len(w.page)), Encoding: kind.encoding,
			DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		}),
	}, body, &column.meta)
	column.offsets.PageLocations = append(column.offsets.PageLocations, format.PageLocation{
		Offset: int64(start), CompressedPageSize: int32(column.body.Len() - start), FirstRowIndex: w.rows,
	})
	if i != columnValue && i != columnNative {
		// A page of NaN alone has no bounds, and an index must have all: these
		// two columns go without.
		column.index.NullPages = append(column.index.NullPages, false)
		column.index.MinValues = append(column.index.MinValues, b.min)
		column.index.MaxValues = append(column.index.MaxValues, b.max)
	}
	column.meta.NumValues += int64(len(w.page))
	widen(&column.meta.Statistics, i, b)
	if kind.optional && c.Native != NativeColumn {
		column.meta.Statistics.NullCount += int64(len(w.page))
	}
}

// putPage compresses a page where the column's codec says so and appends it
// behind its header.
func (w *Writer) putPage(dst *bytes.Buffer, header format.PageHeader, body []byte, meta *format.ColumnMetaData) {
	packed := body
	if meta.Codec == format.Zstd {
		w.packed = w.zstd.EncodeAll(body, w.packed[:0])
		packed = w.packed
	}
	header.UncompressedPageSize = int32(len(body))
	header.CompressedPageSize = int32(len(packed))
	header.CRC = int32(crc32.ChecksumIEEE(packed))
	head := w.marshal(&header)
	dst.Write(head)
	dst.Write(packed)
	meta.TotalUncompressedSize += int64(len(head) + len(body))
	meta.TotalCompressedSize += int64(len(head) + len(packed))
}

// beginGroup empties the columns; the qualities have the codes of
// sample.Quality.
func (w *Writer) beginGroup() {
	w.rows = 0
	for i := range w.columns {
		c, kind := &w.columns[i], &columnNames[i]
		c.body.Reset()
		c.words = texts{}
		c.offsets, c.index = format.OffsetIndex{}, format.ColumnIndex{}
		c.meta = format.ColumnMetaData{
			Type: kind.physical, Encoding: encodings(i), PathInSchema: []string{kind.name}, Codec: kind.codec,
		}
		if i == columnChannel {
			c.index.BoundaryOrder = format.Ascending
		}
		if i == columnQuality {
			for q := range sample.Qualities {
				c.words.code(sample.Quality(q).String())
			}
		}
	}
}

// endGroup writes the row group at hand, column by column.
func (w *Writer) endGroup() {
	if w.rows == 0 {
		return
	}
	g := group{meta: format.RowGroup{
		NumRows: w.rows, FileOffset: w.offset, Ordinal: int16(len(w.groups)),
		SortingColumns: []format.SortingColumn{{ColumnIdx: columnChannel}, {ColumnIdx: columnTime}},
	}}
	for i := range w.columns {
		c := &w.columns[i]
		if len(c.words.list) > 0 {
			var dictionary bytes.Buffer
			w.putPage(&dictionary, format.PageHeader{
				Type: format.DictionaryPage,
				DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
					NumValues: int32(len(c.words.list)), Encoding: format.Plain,
				}),
			}, c.words.plain(), &c.meta)
			c.meta.DictionaryPageOffset = w.offset
			w.write(dictionary.Bytes())
		}
		c.meta.DataPageOffset = w.offset
		for k := range c.offsets.PageLocations {
			c.offsets.PageLocations[k].Offset += w.offset
		}
		w.write(c.body.Bytes())
		g.meta.TotalByteSize += c.meta.TotalUncompressedSize
		g.meta.TotalCompressedSize += c.meta.TotalCompressedSize
		g.meta.Columns = append(g.meta.Columns, format.ColumnChunk{MetaData: c.meta})
		g.offsets = append(g.offsets, c.offsets)
		g.indexes = append(g.indexes, c.index)
	}
	w.groups = append(w.groups, g)
	w.beginGroup()
}

// Close writes the index and the footer and gives what the file holds. It does
// not close the underlying writer.
func (w *Writer) Close() (*Info, error) {
	w.endPage()
	w.endGroup()
	w.writeIndexes()
	row := int64(0)
	for i := range w.info.Channels {
		w.info.Channels[i].FirstRow = row
		row += w.info.Channels[i].Rows
	}
	text, err := json.Marshal(&w.info)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode metadata: %w", err)
	}
	meta := format.FileMetaData{
		Version: 2, Schema: schema(len(w.columns)), NumRows: w.info.Rows,
		KeyValueMetadata: []format.KeyValue{{Key: metadataKey, Value: string(text)}},
		CreatedBy:        createdBy, ColumnOrders: columnOrders(len(w.columns)),
	}
	for i := range w.groups {
		meta.RowGroups = append(meta.RowGroups, w.groups[i].meta)
	}
	footer := w.marshal(&meta)
	w.write(footer)
	w.write(binary.LittleEndian.AppendUint32(nil, uint32(len(footer))))
	w.write([]byte("PAR1"))
	if w.err == nil {
		if err := w.buffer.Flush(); err != nil {
			w.err = fmt.Errorf("write: %w", err)
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	return &w.info, nil
}

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 { return w.offset }

// writeIndexes writes all column indexes, then all offset indexes, as readers
// expect them.
func (w *Writer) writeIndexes() {
	for i := range w.groups {
		g := &w.groups[i]
		for c := range g.meta.Columns {
			if len(g.indexes[c].MinValues) == 0 {
				continue
			}
			at := w.offset
			w.write(w.marshal(&g.indexes[c]))
			g.meta.Columns[c].ColumnIndexOffset = at
			g.meta.Columns[c].ColumnIndexLength = int32(w.offset - at)
		}
	}
	for i := range w.groups {
		g := &w.groups[i]
		for c := range g.meta.Columns {
			at := w.offset
			w.write(w.marshal(&g.offsets[c]))
			g.meta.Columns[c].OffsetIndexOffset = at
			g.meta.Columns[c].OffsetIndexLength = int32(w.offset - at)
		}
	}
}

func (w *Writer) marshal(v any) []byte {
	out, err := thrift.Marshal(new(thrift.CompactProtocol), v)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode header: %w", err)
	}
	return out
}

// write keeps the first error; everything after it goes nowhere.
func (w *Writer) write(p []byte) {
	if w.err != nil {
		return
	}
	n, err := w.buffer.Write(p)
	w.offset += int64(n)
	if err != nil {
		w.err = fmt.Errorf("write: %w", err)
	}
}
