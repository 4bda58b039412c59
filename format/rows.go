package format

import (
	"context"
	"fmt"
)

// Rows is a text that is read row by row; a text.Rows is one.
type Rows interface {
	Next() bool
	Line() int64 // of the row, counted from 1
	Err() error  // why Next ended, nil at the end of the text
}

// EachRow calls row for every row, and flush when there are no more: what was
// gathered is kept whatever ended the reading. Its error is that of ctx, row,
// flush, or of the reading, with the line.
func EachRow(ctx context.Context, rows Rows, row, flush func() error) error {
	for n := 0; rows.Next(); n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := row(); err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if err := rows.Err(); err != nil {
		return &Error{Line: rows.Line(), Err: fmt.Errorf("read rows: %w", err)}
	}
	return nil
}
