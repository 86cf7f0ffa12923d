package matrix

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"umemstress/workload/record"
)

// cellFunction is the shell's part: it runs a cell and says so on stdout, which
// has nothing but these lines:
//
//	begin INDEX
//	end INDEX EXIT-CODE
//
// What the cell prints is in its run.json already. A cell whose time was up
// (124) or that was killed (128 and more) may have left the guest in any state, and one
// in which the kernel died has, so the guest ends there. It also ends when so many pages are counted as dirty that
// the flusher writes unasked, long before writers are throttled: each page that ext4
// drops stays counted for ever (mm/page-writeback.c, balance_dirty_pages).
const cellFunction = `crowded() {
	while read -r name pages; do
		case $name in
		nr_dirty) dirty=$pages ;;
		nr_dirty_background_threshold) most=$pages ;;
		esac
	done </proc/vmstat
	[ "$dirty" -gt "$most" ]
}
cell() {
	index=$1 dir=$2; shift 2
	echo "begin $index"
	timeout -k 5 %[1]d "$@" >/dev/null 2>"$dir/stderr.log"
	code=$?
	echo "end $index $code"
	if [ $code -ge 124 ] || [ $code -eq %[2]d ] || crowded; then exit 0; fi
}
`

// timeoutExit is what timeout(1) exits with when the time was up and its first,
// gentle signal sufficed.
const timeoutExit = 124

// script is the program of a guest that runs the pending cells.
func (r *round) script() string {
	var b strings.Builder
	fmt.Fprintf(&b, cellFunction, int(r.m.CellTimeout.Seconds()), record.Crashed.ExitCode())
	for _, i := range r.pending {
		dir := r.cellDir(i)
		fmt.Fprintf(&b, "cell %d %s", i, quote(dir))
		for _, word := range r.m.Command(r.kernel.Cells[i].Scenario, dir) {
			b.WriteString(" " + quote(word))
		}
		b.WriteString("\n")
	}
	b.WriteString("exit 0\n")
	return b.String()
}

// quote makes a word of the shell out of any string.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// line takes in a line of the script's output.
func (r *round) line(line string) error {
	var index, code int
	if n, _ := fmt.Sscanf(line, "begin %d", &index); n == 1 && slices.Contains(r.pending, index) && r.running < 0 {
		r.running, r.begun = index, time.Now()
		r.begins++
		r.cells[index].Attempts++
		r.watch.Reset(r.m.CellTimeout + r.m.hangTime)
		r.tell(Progress{Kernel: r.kernel.Name, Scenario: r.kernel.Cells[index].Scenario, Repetition: r.number})
		return nil
	}
	if n, _ := fmt.Sscanf(line, "end %d %d", &index, &code); n == 2 && r.running == index {
		r.running = -1
		r.watch.Reset(r.m.hangTime)
		r.ended(index, code, time.Since(r.begun))
		return nil
	}
	return fmt.Errorf("the guest's shell said %q, which makes no sense here", line)
}

// ended takes in a cell whose process ended.
func (r *round) ended(index, code int, took time.Duration) {
	cell := &r.cells[index]
	cell.Seconds = took.Seconds()
	cell.Exit = &code
	dir := r.cellDir(index)
	switch {
	case code == timeoutExit || code == 128+9 && took >= r.m.CellTimeout:
		r.conclude(index, OutcomeTimeout, fmt.Sprintf("not finished after %s%s", r.m.CellTimeout, r.trouble()))
	case code > 128:
		r.conclude(index, OutcomeFailed, fmt.Sprintf("killed by signal %d%s", code-128, r.trouble()))
	default:
		got, reason := cell.read(dir, code)
		r.conclude(index, got, reason)
	}
}

// lineReader gives the lines written to it to a function, up to its first error.
type lineReader struct {
	line func(string) error
	err  error
	rest []byte
}

// maxLine is ample for a line of the script. Another program of the guest may have got
// hold of its stdout.
const maxLine = 1 << 10

func (l *lineReader) Write(p []byte) (int, error) {
	if l.err == nil {
		l.rest = append(l.rest, p...)
	}
	for l.err == nil {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			break
		}
		l.rest = rest
		l.err = l.line(string(line))
	}
	if l.err == nil && len(l.rest) > maxLine {
		l.err = fmt.Errorf("the guest's shell said %q… without an end", l.rest[:40])
	}
	if l.err != nil {
		l.rest = nil
	}
	return len(p), nil
}
