package triage

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"regexp"
	"strings"

	"umemstress/probes/kmsg"
)

// entry is a message of the log.
type entry struct {
	number uint64 // of the line that it begins in
	text   string // as kmsg.Classify takes it
	whole  bool   // it stands alone: no line that follows is its rest
}

// decoder takes the messages of a kernel out of the forms in which its log is passed on. Forms
// may change from line to line, as in a mail:
//
//	[    9.667825] kernel BUG at ...                dmesg, a console, vmcore-dmesg, pstore
//	2,980,9667825,-;kernel BUG at ...               /dev/kmsg, netconsole with extended headers
//	Nov 28 03:36:32 host kernel: kernel BUG at ...  syslog, journalctl -o short and its like
//	{"MESSAGE":"kernel BUG at ...", ...}            journalctl -o json, json-sse, json-seq
//	MESSAGE=kernel BUG at ...                       journalctl -o export; fields that are not
//	                                                text have their length in front
//	> [    9.667825] kernel BUG at ...              a mail, also as quoted-printable
//
// and of all of them without times, with colours, with carriage returns and with NULs, which a
// file system leaves behind where the machine died before a log was written.
type decoder struct {
	lines  *lineReader
	export bool // lines are fields of an entry of journalctl -o export
	record struct {
		number  uint64
		message string
		found   bool // a message
		foreign bool // it is not the kernel's
	}
	mail  quotedPrintable
	queue []entry // of a line that was several
}

var (
	// quoted is what mailers put before the lines of others.
	quoted = regexp.MustCompile(`^(?:[>|] ?)+`)
	// escape is what terminals obey (ECMA-48: CSI, OSC, and others of two characters).
	escape = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])`)
	// kmsgRecord begins a record of /dev/kmsg.
	kmsgRecord = regexp.MustCompile(`^[0-9]+,[0-9]+,[0-9]+,[^; ]*;`)
	// cursor begins an entry of journalctl -o export.
	cursor = regexp.MustCompile(`^__CURSOR=s=`)
	// field is the name of one whose value is not text.
	field = regexp.MustCompile(`^[A-Z_][A-Z0-9_]{0,63}$`)
	// pretty is the message in journalctl -o json-pretty and -o verbose.
	pretty = regexp.MustCompile(`^\s+(?:"MESSAGE" : (".*"),?|MESSAGE=(.*))$`)
)

// next returns the next message, or io.EOF.
func (d *decoder) next() (entry, error) {
	for {
		if len(d.queue) > 0 {
			e := d.queue[0]
			d.queue = d.queue[1:]
			return e, nil
		}
		line, err := d.lines.next()
		if err != nil {
			if e, ok := d.finish(); ok { // the log was cut off within an entry
				return e, nil
			}
			return entry{}, err
		}
		if err := d.take(line); err != nil {
			return entry{}, err
		}
	}
}

// take puts what a line has of messages into the queue.
func (d *decoder) take(line []byte) error {
	if !d.export && cursor.Match(line) {
		d.export = true
	}
	if d.export {
		return d.takeField(line)
	}
	line, whole := d.mail.line(line)
	if !whole {
		return nil
	}
	for part := range bytes.SplitSeq(line, []byte("\r")) {
		if e, ok := d.plain(part); ok {
			d.queue = append(d.queue, e)
		}
	}
	return nil
}

// plain reads a line of any form but export.
func (d *decoder) plain(line []byte) (entry, bool) {
	number := d.lines.number
	line = clean(line)
	if len(line) == 0 {
		return entry{}, false
	}
	if quoted.Match(line) {
		line = line[len(quoted.Find(line)):]
	}
	object := bytes.TrimPrefix(line, []byte("data: "))
	switch {
	case len(object) > 0 && object[0] == '{':
		if message, ok := jsonMessage(object); ok {
			return entry{number: number, text: message, whole: true}, message != ""
		}
	case kmsgRecord.Match(line):
		if text, err := kmsg.Record(line); err == nil {
			return entry{number: number, text: text, whole: true}, true
		}
	}
	if m := pretty.FindSubmatch(line); m != nil {
		text := string(m[2])
		if len(m[1]) > 0 && json.Unmarshal(m[1], &text) != nil {
			return entry{}, false
		}
		return entry{number: number, text: text, whole: true}, true
	}
	return entry{number: number, text: string(line)}, true
}

// clean takes away what is no text.
func clean(line []byte) []byte {
	if bytes.IndexByte(line, 0x1b) >= 0 {
		line = escape.ReplaceAll(line, nil)
	}
	if bytes.ContainsFunc(line, noText) {
		line = bytes.Map(func(r rune) rune {
			if noText(r) {
				return -1
			}
			return r
		}, line)
	}
	return line
}

func noText(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f || r == '\ufeff' }

// jsonMessage is the message of an entry of a journal, "" for one that is not the kernel's.
// ok is false for what is none.
func jsonMessage(object []byte) (message string, ok bool) {
	var e struct {
		Message    json.RawMessage `json:"MESSAGE"`
		Transport  json.RawMessage `json:"_TRANSPORT"`
		Identifier json.RawMessage `json:"SYSLOG_IDENTIFIER"`
	}
	if json.Unmarshal(object, &e) != nil || e.Message == nil {
		return "", false
	}
	if !ofKernel(text(e.Transport), text(e.Identifier)) {
		return "", true
	}
	return text(e.Message), true
}

// text is a value of a journal's JSON: a string, or its bytes where it is no text.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return string(clean([]byte(s)))
	}
	var numbers []uint8
	var wide []int
	if json.Unmarshal(raw, &wide) != nil {
		return ""
	}
	for _, n := range wide {
		numbers = append(numbers, byte(n))
	}
	return string(clean(numbers))
}

// ofKernel says whether an entry of a journal is the kernel's, as far as it says of whom it is.
func ofKernel(transport, identifier string) bool {
	return transport == "kernel" || transport == "" && (identifier == "" || identifier == "kernel") ||
		transport == "syslog" && identifier == "kernel"
}

// takeField reads a line of journalctl -o export.
func (d *decoder) takeField(line []byte) error {
	name, value, isText := bytes.Cut(line, []byte("="))
	switch {
	case len(line) == 0:
		if e, ok := d.finish(); ok {
			d.queue = append(d.queue, e)
		}
		return nil
	case isText && field.Match(name):
		d.set(string(name), value)
		return nil
	case field.Match(line):
		label := string(line) // the reader takes its line back
		size, err := d.lines.exactly(8)
		if err != nil {
			return err
		}
		value, err := d.lines.exactly(binary.LittleEndian.Uint64(size))
		if err != nil {
			return err
		}
		d.set(label, value)
		_, err = d.lines.next() // what ends it
		return err
	}
	// No field: what follows is of another form.
	d.export = false
	if e, ok := d.finish(); ok {
		d.queue = append(d.queue, e)
	}
	return d.take(line)
}

// set notes a field of the entry.
func (d *decoder) set(name string, value []byte) {
	r := &d.record
	switch name {
	case "MESSAGE":
		r.number, r.message, r.found = d.lines.number, string(clean(value)), true
	case "_TRANSPORT":
		r.foreign = r.foreign || !strings.EqualFold(string(value), "kernel") && string(value) != "syslog"
	case "SYSLOG_IDENTIFIER":
		r.foreign = r.foreign || string(value) != "kernel"
	}
}

// finish ends the entry, and returns its message if it is the kernel's.
func (d *decoder) finish() (entry, bool) {
	r := d.record
	d.record.found, d.record.foreign, d.record.message = false, false, ""
	return entry{number: r.number, text: r.message, whole: true}, r.found && !r.foreign
}
