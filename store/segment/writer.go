package segment

import (
	"bufio"
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
	// groupRows bounds a row group, which readers hold in memory as a whole.
	groupRows = 1 << 20
	// compressionWindow covers a page, so that the compressor needs little
	// memory.
	compressionWindow = 256 << 10
)

// createdBy is the footer's name for the program that wrote the file.
const createdBy = "dynotap"

// Part is a stretch of one channel's rows, in order of time; their values are
// native.
type Part struct {
	// Channel is the index into the writer's channels.
	Channel int
	Points  []Point
}

// Writer writes one file. Row groups go out as they come; what it keeps is
// the index of the pages. It is not safe for concurrent use.
type Writer struct {
	buffer  *bufio.Writer
	offset  int64
	err     error
	info    Info
	columns int
	zstd    *zstd.Encoder
	scratch columnScratch
	packed  []byte
	stats   []Point
	groups  []group
	last    int // the channel that rows came for last
}

// group is a row group with its columns' page indexes.
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
	out := &Writer{buffer: bufio.NewWriterSize(w, 64<<10), info: info, columns: columns, zstd: encoder}
	out.write([]byte("PAR1"))
	return out, out.err
}

// Write appends rows as row groups of a bounded size. Parts come in ascending
// order of their channels, also from call to call; a channel's parts in order
// of time. It keeps nothing of them.
func (w *Writer) Write(parts []Part) error {
	var pages []page
	rows := 0
	for _, part := range parts {
		if err := w.accept(part); err != nil {
			return err
		}
		channel := &w.info.Channels[part.Channel]
		for points := part.Points; len(points) > 0; {
			n := min(len(points), pageRows)
			if rows+n > groupRows {
				w.writeGroup(pages)
				pages, rows = pages[:0], 0
			}
			pages = append(pages, page{channel, points[:n]})
			points, rows = points[n:], rows+n
		}
	}
	if rows > 0 {
		w.writeGroup(pages)
	}
	return w.err
}

// accept checks the order and counts the figures.
func (w *Writer) accept(part Part) error {
	if part.Channel < w.last || part.Channel >= len(w.info.Channels) {
		return fmt.Errorf("rows of channel %d after those of channel %d of %d", part.Channel, w.last, len(w.info.Channels))
	}
	if len(part.Points) == 0 {
		return nil
	}
	w.last = part.Channel
	c := &w.info.Channels[part.Channel]
	if c.Rows > 0 && part.Points[0].Time < c.LastUS {
		return fmt.Errorf("rows of channel %q are not in order of time", c.Key)
	}
	conv := c.Conversion()
	for points := part.Points; len(points) > 0; {
		n := min(len(points), pageRows)
		if conv.IsIdentity() {
			c.Count(points[:n])
		} else {
			w.stats = append(w.stats[:0], points[:n]...)
			for i := range w.stats {
				w.stats[i].Value = conv.Apply(w.stats[i].Value)
			}
			c.Count(w.stats)
		}
		points = points[n:]
	}
	if w.info.Rows == 0 {
		w.info.FirstUS, w.info.LastUS = c.FirstUS, c.LastUS
	}
	w.info.FirstUS, w.info.LastUS = min(w.info.FirstUS, c.FirstUS), max(w.info.LastUS, c.LastUS)
	w.info.Rows += int64(len(part.Points))
	return nil
}

func (w *Writer) writeGroup(pages []page) {
	g := group{
		offsets: make([]format.OffsetIndex, w.columns),
		indexes: make([]format.ColumnIndex, w.columns),
		meta: format.RowGroup{
			FileOffset: w.offset,
			Ordinal:    int16(len(w.groups)),
			SortingColumns: []format.SortingColumn{
				{ColumnIdx: columnChannel}, {ColumnIdx: columnTime},
			},
		},
	}
	for _, p := range pages {
		g.meta.NumRows += int64(len(p.points))
	}
	for column := range w.columns {
		chunk := w.writeChunk(column, pages, &g.offsets[column], &g.indexes[column])
		chunk.MetaData.NumValues = g.meta.NumRows
		g.meta.TotalByteSize += chunk.MetaData.TotalUncompressedSize
		g.meta.TotalCompressedSize += chunk.MetaData.TotalCompressedSize
		g.meta.Columns = append(g.meta.Columns, chunk)
	}
	w.groups = append(w.groups, g)
}

// writeChunk writes one column of a row group.
func (w *Writer) writeChunk(column int, pages []page, offsets *format.OffsetIndex, index *format.ColumnIndex) format.ColumnChunk {
	kind := &columnNames[column]
	chunk := format.ColumnChunk{MetaData: format.ColumnMetaData{
		Type: kind.physical, Encoding: encodings(column), PathInSchema: []string{kind.name}, Codec: kind.codec,
	}}
	meta := &chunk.MetaData
	words := w.dictionary(column, pages)
	if len(words.list) > 0 {
		meta.DictionaryPageOffset = w.offset
		w.writePage(format.PageHeader{
			Type: format.DictionaryPage,
			DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
				NumValues: int32(len(words.list)), Encoding: format.Plain,
			}),
		}, kind.codec, words.plain(), meta)
	}
	meta.DataPageOffset = w.offset
	row := int64(0)
	for i := range pages {
		body, b := w.encode(column, &pages[i], words)
		start := w.offset
		w.writePage(format.PageHeader{
			Type: format.DataPage,
			DataPageHeader: thrift.New(format.DataPageHeader{
				NumValues: int32(len(pages[i].points)), Encoding: kind.encoding,
				DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
			}),
		}, kind.codec, body, meta)
		offsets.PageLocations = append(offsets.PageLocations, format.PageLocation{
			Offset: start, CompressedPageSize: int32(w.offset - start), FirstRowIndex: row,
		})
		row += int64(len(pages[i].points))
		index.NullPages = append(index.NullPages, false)
		index.MinValues = append(index.MinValues, b.min)
		index.MaxValues = append(index.MaxValues, b.max)
		widen(&meta.Statistics, column, b)
		if kind.optional && pages[i].channel.Native != NativeColumn {
			meta.Statistics.NullCount += int64(len(pages[i].points))
		}
	}
	if column == columnChannel {
		index.BoundaryOrder = format.Ascending
	}
	if column == columnValue || column == columnNative {
		// A page of NaN alone has no bounds, and an index must have all.
		*index = format.ColumnIndex{}
	}
	return chunk
}

// dictionary collects the texts of a row group; the qualities have the codes
// of sample.Quality.
func (w *Writer) dictionary(column int, pages []page) *texts {
	words := new(texts)
	switch column {
	case columnChannel, columnName, columnUnit:
		for i := range pages {
			words.code(text(column, pages[i].channel))
		}
	case columnQuality:
		for q := range sample.Qualities {
			words.code(sample.Quality(q).String())
		}
	}
	return words
}

func (w *Writer) encode(column int, p *page, words *texts) (body []byte, b bounds) {
	var err error
	switch column {
	case columnTime:
		body, b, err = w.scratch.timesOf(p)
	case columnValue:
		body, b, err = w.scratch.valuesOf(p)
	case columnQuality:
		body, b, err = w.scratch.qualities(p, words.bitWidth())
	case columnNative:
		body, b, err = w.scratch.natives(p)
	default:
		word := text(column, p.channel)
		w.scratch.out = appendRun(w.scratch.out[:0], words.bitWidth(), len(p.points), words.code(word))
		body, b = w.scratch.out, bounds{min: []byte(word), max: []byte(word)}
	}
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode column %s: %w", columnNames[column].name, err)
	}
	return body, b
}

// writePage compresses body where the codec says so and writes it behind its
// header.
func (w *Writer) writePage(header format.PageHeader, codec format.CompressionCodec, body []byte, meta *format.ColumnMetaData) {
	packed := body
	if codec == format.Zstd {
		w.packed = w.zstd.EncodeAll(body, w.packed[:0])
		packed = w.packed
	}
	header.UncompressedPageSize = int32(len(body))
	header.CompressedPageSize = int32(len(packed))
	header.CRC = int32(crc32.ChecksumIEEE(packed))
	head := w.marshal(&header)
	w.write(head)
	w.write(packed)
	meta.TotalUncompressedSize += int64(len(head) + len(body))
	meta.TotalCompressedSize += int64(len(head) + len(packed))
}

// Close writes the index and the footer and gives what the file holds. It does
// not close the underlying writer.
func (w *Writer) Close() (*Info, error) {
	row := int64(0)
	for i := range w.info.Channels {
		w.info.Channels[i].FirstRow = row
		row += w.info.Channels[i].Rows
	}
	w.writeIndexes()
	text, err := json.Marshal(&w.info)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode metadata: %w", err)
	}
	meta := format.FileMetaData{
		Version: 2, Schema: schema(w.columns), NumRows: w.info.Rows,
		KeyValueMetadata: []format.KeyValue{{Key: metadataKey, Value: string(text)}},
		CreatedBy:        createdBy, ColumnOrders: columnOrders(w.columns),
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
