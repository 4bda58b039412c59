// Package segment writes and reads the Parquet files in which sealed samples
// lie: long form, one row a sample, sorted by channel and then by time, so
// that pandas, DuckDB, MATLAB and Spark read them as they are and one channel
// of many is read by seeking.
//
// The columns are channel (the key, unique within the capture), name (the
// canonical name or the label), unit, time (microseconds, UTC; in a capture
// with a relative time base they count from 1970-01-01 on), value (in unit)
// and quality (good, suspect, bad). A file whose native values do not follow
// exactly from value has a seventh column, native_value; see Channel.Native.
//
// The footer's key "dynotap" holds Info as JSON.
//
// The files are written page by page with the encodings of parquet-go rather
// than by its row writer: pages then begin where channels do, the columns that
// repeat one text cost a few bytes and no time, and memory stays at one page
// of rows and one row group of encoded pages.
package segment
