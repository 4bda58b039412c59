package text

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Encoding is how a file's characters are written.
type Encoding uint8

// The encodings that are recognised (CONFORMANCE A2).
const (
	UTF8 Encoding = iota
	UTF16LE
	UTF16BE
	CP1252
	Latin1
)

var encodingNames = [...]string{"utf-8", "utf-16le", "utf-16be", "cp1252", "latin-1"}

// String gives the encoding's name: utf-8, utf-16le, utf-16be, cp1252 or
// latin-1.
func (e Encoding) String() string {
	if int(e) < len(encodingNames) {
		return encodingNames[e]
	}
	return fmt.Sprintf("encoding(%d)", uint8(e))
}

// headSize is how much of a file decides its encoding, in bytes.
const headSize = 64 << 10

// DetectEncoding finds out the encoding by the beginning of a file. Bom is the
// length of the byte order mark in bytes, 0 without one. Bytes that are neither
// UTF-8 nor UTF-16 are CP1252, or Latin-1 where CP1252 does not have them.
func DetectEncoding(head []byte) (e Encoding, bom int) {
	switch {
	case bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}):
		return UTF8, 3
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		return UTF16LE, 2
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return UTF16BE, 2
	}
	if e, ok := wide(head); ok {
		return e, 0
	}
	characters, broken, undefined := 0, 0, false
	for i := 0; i < len(head); {
		if head[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(head[i:])
		switch {
		case r != utf8.RuneError || n > 1:
			characters++
		case len(head)-i < utf8.UTFMax && !utf8.FullRune(head[i:]): // cut at the end
		default:
			broken++
		}
		for _, c := range head[i : i+n] {
			undefined = undefined || c == 0x81 || c == 0x8d || c == 0x8f || c == 0x90 || c == 0x9d
		}
		i += n
	}
	switch {
	case broken <= characters: // a damaged byte does not make a file CP1252
		return UTF8, 0
	case undefined:
		return Latin1, 0
	}
	return CP1252, 0
}

// wide recognises UTF-16 without a mark: in a log most characters are ASCII,
// so every other byte is zero.
func wide(head []byte) (Encoding, bool) {
	pairs := len(head) / 2
	if pairs == 0 {
		return UTF8, false
	}
	var even, odd int
	for i := 0; i < 2*pairs; i += 2 {
		if head[i] == 0 {
			even++
		}
		if head[i+1] == 0 {
			odd++
		}
	}
	switch {
	case odd*10 > pairs*7 && even*10 < pairs:
		return UTF16LE, true
	case even*10 > pairs*7 && odd*10 < pairs:
		return UTF16BE, true
	}
	return UTF8, false
}

func (e Encoding) decoder() *encoding.Decoder {
	switch e {
	case UTF16LE:
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder()
	case UTF16BE:
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder()
	case CP1252:
		return charmap.Windows1252.NewDecoder()
	case Latin1:
		return charmap.ISO8859_1.NewDecoder()
	}
	return nil // UTF-8 stays as it is
}

// Decode gives text in e as UTF-8, without the byte order mark that was
// measured by DetectEncoding. Memory does not depend on the length of r.
// Characters that do not exist in e become U+FFFD, but UTF-8 passes unchanged,
// damaged bytes included.
func Decode(r io.Reader, e Encoding) io.Reader {
	if d := e.decoder(); d != nil {
		return transform.NewReader(r, d)
	}
	return r
}

// Open finds out the encoding of a file by its first 64 KiB and gives all of
// it as UTF-8, without a byte order mark.
func Open(r io.ReaderAt, size int64) (io.Reader, Encoding, error) {
	head := make([]byte, min(size, headSize))
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, UTF8, fmt.Errorf("read file: %w", err)
	}
	e, bom := DetectEncoding(head[:n])
	return Decode(io.NewSectionReader(r, int64(bom), size-int64(bom)), e), e, nil
}

// Head gives the beginning of a file as UTF-8, without a byte order mark, for
// formats that look for words in it. It is nil where the bytes are not text:
// more than two, and more than one in a hundred, are control characters. The
// text may end inside a line. The result may share memory with head.
func Head(head []byte) []byte {
	e, bom := DetectEncoding(head)
	out := head[bom:]
	if d := e.decoder(); d != nil {
		decoded, err := d.Bytes(out)
		if err != nil {
			return nil
		}
		out = decoded
	}
	control := 0
	for i, c := range out {
		switch {
		case c == 0 && i > 0 && out[i-1] == 0: // a hole, as a power failure leaves it, counts once
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f', c == 0x7f:
			control++
		}
	}
	if control > 2+len(out)/100 || len(out) > 0 && len(bytes.Trim(out, "\x00")) == 0 {
		return nil
	}
	return out
}
