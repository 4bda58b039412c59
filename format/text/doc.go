// Package text is what the text formats share: finding out a file's encoding
// and reading it as UTF-8, rows and their cells in bounded memory, numbers as
// fast as they can be read without being rounded otherwise than strconv does.
//
// A text format usually does
//
//	head := text.Head(first 64 KiB)               // in Detect
//	in, enc, err := text.Open(r, size)            // in Read: UTF-8, whatever the file is in
//	rows := text.NewRows(in, ',')
//	for rows.Next() { rows.Line(); rows.Cells() }
//	err = rows.Err()
//
// Units in a header cell ("Engine Speed (RPM)") are read by package channel: a
// format keeps the whole cell as the label. Unit reads the cells of a row of
// units.
package text
