package app

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
)

// printJSON writes one indented JSON document, a part of the contract wherever
// a command has --json.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printTable writes a plain table: no colour, so that it reads the same in a
// pipe; numbers are the caller's to format.
func printTable(w io.Writer, headers []string, rows [][]string) error {
	cell := lipgloss.NewStyle().PaddingRight(2)
	t := table.New().
		Border(lipgloss.NormalBorder()).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderColumn(false).BorderRow(false).BorderHeader(true).
		StyleFunc(func(int, int) lipgloss.Style { return cell }).
		Headers(headers...).Rows(rows...)
	_, err := fmt.Fprintln(w, t.String())
	return err
}

// number prints a value to the given decimals, "-" where there is none.
func number(v *float64, decimals int) string {
	if v == nil || math.IsNaN(*v) {
		return "-"
	}
	return strconv.FormatFloat(*v, 'f', decimals, 64)
}

// localTime prints µs since the epoch as people read it in the cell.
func localTime(us int64) string {
	return time.UnixMicro(us).Local().Format("2006-01-02 15:04:05")
}

// thousands prints a count in groups of three: 1 234 567.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
