package segment

import (
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The columns in their order in the file.
const (
	columnChannel = iota
	columnName
	columnUnit
	columnTime
	columnValue
	columnQuality
	columnNative // only in files that need it
	columnsAll
)

// columnNames says what each column is called and how it is stored. The text columns hold few
// distinct texts in long runs and are not compressed: they are a few bytes a
// page.
var columnNames = [columnsAll]struct {
	name     string
	physical format.Type
	encoding format.Encoding
	codec    format.CompressionCodec
	optional bool
}{
	columnChannel: {"channel", format.ByteArray, format.RLEDictionary, format.Uncompressed, false},
	columnName:    {"name", format.ByteArray, format.RLEDictionary, format.Uncompressed, false},
	columnUnit:    {"unit", format.ByteArray, format.RLEDictionary, format.Uncompressed, false},
	columnTime:    {"time", format.Int64, format.DeltaBinaryPacked, format.Zstd, false},
	columnValue:   {"value", format.Double, format.ByteStreamSplit, format.Zstd, false},
	columnQuality: {"quality", format.ByteArray, format.RLEDictionary, format.Uncompressed, false},
	columnNative:  {"native_value", format.Double, format.ByteStreamSplit, format.Zstd, true},
}

// schema lists the columns as the footer does, the root first.
func schema(columns int) []format.SchemaElement {
	elements := make([]format.SchemaElement, 0, 1+columns)
	elements = append(elements, format.SchemaElement{Name: "samples", NumChildren: thrift.New(int32(columns))})
	for i := range columns {
		c := &columnNames[i]
		e := format.SchemaElement{
			Name:           c.name,
			Type:           thrift.New(c.physical),
			RepetitionType: thrift.New(format.Required),
		}
		if c.optional {
			e.RepetitionType = thrift.New(format.Optional)
		}
		switch {
		case c.physical == format.ByteArray:
			e.ConvertedType = thrift.New(deprecated.UTF8)
			e.LogicalType = format.LogicalType{Value: new(format.StringType)}
		case i == columnTime:
			e.ConvertedType = thrift.New(deprecated.TimestampMicros)
			e.LogicalType = format.LogicalType{Value: &format.TimestampType{
				IsAdjustedToUTC: true,
				Unit:            format.TimeUnit{Value: new(format.MicroSeconds)},
			}}
		}
		elements = append(elements, e)
	}
	return elements
}

func columnOrders(columns int) []format.ColumnOrder {
	orders := make([]format.ColumnOrder, columns)
	for i := range orders {
		orders[i].Value = new(format.TypeDefinedOrder)
	}
	return orders
}

// encodings lists what a column's pages use.
func encodings(column int) []format.Encoding {
	c := &columnNames[column]
	list := []format.Encoding{c.encoding, format.RLE}
	if c.encoding == format.RLEDictionary {
		list = append(list, format.Plain) // the dictionary page
	}
	return list
}
