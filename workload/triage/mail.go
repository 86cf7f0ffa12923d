package triage

import (
	"bytes"
	"regexp"
)

// quotedPrintable undoes an encoding of mails (RFC 2045, 6.7) from the header on that names it:
// a line that ends with = goes on in the next, and =XX is a byte.
type quotedPrintable struct {
	on      bool
	partial []byte // of a line that goes on; of maxLine bytes at most
}

var (
	encoding = regexp.MustCompile(`(?i)^(?:> ?)*Content-Transfer-Encoding: *([a-z0-9-]+)`)
	encoded  = regexp.MustCompile(`=[0-9A-F]{2}`)
)

// line takes the next line, and returns it decoded when it is whole.
func (q *quotedPrintable) line(line []byte) (_ []byte, whole bool) {
	if m := encoding.FindSubmatch(line); m != nil {
		q.on, q.partial = bytes.EqualFold(m[1], []byte("quoted-printable")), nil
	}
	if !q.on {
		return line, true
	}
	rest, goesOn := bytes.CutSuffix(line, []byte("="))
	if room := maxLine - len(q.partial); len(rest) > room {
		rest = rest[:room]
	}
	q.partial = append(q.partial, rest...)
	if goesOn {
		return nil, false
	}
	line, q.partial = q.partial, nil
	return encoded.ReplaceAllFunc(line, func(code []byte) []byte {
		return []byte{hexDigit(code[1])<<4 | hexDigit(code[2])}
	}), true
}

func hexDigit(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}
