package machine

import (
	"bytes"
	"regexp"

	"umemstress/probes/kmsg"
	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/workload/record"
)

// troubles are the kinds of lines that tell how a guest ended, best explanation first: a BUG
// tells more than the panic that follows it.
var troubles = []kmsg.Kind{kmsg.Bug, kmsg.Fault, kmsg.Lockup, kmsg.Report, kmsg.Oops, kmsg.Hung, kmsg.Panic}

// CrashReason returns the kernel's own words for its crash. Without a panic
// there is none: a guest lives on after a BUG in the context of a process.
func CrashReason(serial []byte) (string, bool) {
	first := firstOf(serial)
	reason, panicked := first[kmsg.Panic]
	if !panicked {
		return "", false
	}
	if cause, ok := worst(first); ok && cause != reason {
		reason = cause + "; " + reason
	}
	return reason, true
}

// OopsReason returns the kernel's own words for the first death of one of its threads that
// it survived.
func OopsReason(serial []byte) (string, bool) {
	var deaths kmsg.Deaths
	for line := range bytes.Lines(serial) {
		deaths.Add(kmsg.Classify(string(line)))
	}
	for _, d := range deaths.All {
		if d.Kind == string(kmsg.Oops) {
			return record.Death(d).Where(), true
		}
	}
	return "", false
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
func TroubleLine(serial []byte) (string, bool) { return worst(firstOf(serial)) }

// firstOf returns the kernel's words in the first line of each kind.
func firstOf(serial []byte) map[kmsg.Kind]string {
	first := map[kmsg.Kind]string{}
	for line := range bytes.Lines(serial) {
		l := kmsg.Classify(string(line))
		if _, found := first[l.Kind]; !found {
			first[l.Kind] = l.Text
		}
	}
	return first
}

// worst returns the best explanation of them.
func worst(first map[kmsg.Kind]string) (string, bool) {
	for _, kind := range troubles {
		if line, ok := first[kind]; ok {
			return line, true
		}
	}
	return "", false
}
