// Package kmsg tells what each line of the kernel's log is about, whichever kernel and console it
// is of, and what lines together tell: of a death, and of a file system. It is pure: who reads
// the log hands it the lines.
package kmsg

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Record turns a record of /dev/kmsg, "level,sequence,microseconds,flags[,...];text\n KEY=value" into
// "[seconds] text". Its KEY=value lines are left out.
func Record(record []byte) (string, error) {
	head, text, found := bytes.Cut(record, []byte(";"))
	fields := strings.Split(string(head), ",")
	if !found || len(fields) < 3 {
		return "", fmt.Errorf("/dev/kmsg: a record without a prefix: %q", record)
	}
	us, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return "", fmt.Errorf("/dev/kmsg: a record without a time: %q", record)
	}
	text, _, _ = bytes.Cut(text, []byte("\n"))
	return fmt.Sprintf("[%5d.%06d] %s", us/1e6, us%1e6, text), nil
}
