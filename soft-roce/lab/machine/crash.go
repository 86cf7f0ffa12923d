package machine

import (
	"bytes"
	"regexp"

	"umemstress/probes/kmsg"
	"umemstress/soft-roce/lab/internal/proto"
)

// Lines of the serial log that tell how a guest ended, best explanation first:
// a BUG tells more than the panic that follows it.
var crashLines = []*regexp.Regexp{
	regexp.MustCompile(`kernel BUG at .*`),
	regexp.MustCompile(`BUG: .*`),
	regexp.MustCompile(`(general protection fault|Oops|double fault|stack segment|invalid opcode): .*`),
	regexp.MustCompile(`Kernel panic - .*`),
}

var panicLine = crashLines[len(crashLines)-1]

// CrashReason returns the kernel's own words for its crash. Without a panic
// there is none: a guest lives on after a BUG in the context of a process.
func CrashReason(serial []byte) (string, bool) {
	panicked := panicLine.Find(serial)
	if panicked == nil {
		return "", false
	}
	reason := string(bytes.TrimSpace(panicked))
	if cause, ok := TroubleLine(serial); ok && cause != reason {
		reason = cause + "; " + reason
	}
	return reason, true
}

// OopsReason returns the kernel's own words for the first death of one of its threads that
// it survived.
func OopsReason(serial []byte) (string, bool) {
	var oopses kmsg.Oopses
	for line := range bytes.Lines(serial) {
		oopses.Add(string(bytes.TrimRight(line, "\r\n")))
	}
	return oopses.First, oopses.All > 0
}

var initFailureLine = regexp.MustCompile(regexp.QuoteMeta(proto.InitFailure) + `(.*)`)

// InitReason returns why init gave up, if it said so on the console.
func InitReason(serial []byte) (string, bool) {
	m := initFailureLine.FindSubmatch(serial)
	if m == nil {
		return "", false
	}
	return string(bytes.TrimSpace(m[1])), true
}

// TroubleLine returns the first sign of trouble that the kernel survived.
func TroubleLine(serial []byte) (string, bool) {
	for _, re := range crashLines {
		if line := re.Find(serial); line != nil {
			return string(bytes.TrimSpace(line)), true
		}
	}
	return "", false
}
