package observe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Text is a line for a person, with those of its stack below it, and none for what a person
// has seen already. It ends with a new line. What others have named is escaped: a terminal
// obeys control characters.
func (l Line) Text() string {
	var b strings.Builder
	switch l.Event {
	case Started:
		return l.startedText()
	case Rehooked:
		return fmt.Sprintf("%s %-9s%s\n%s", l.Time.Local().Format("15:04:05.000"), l.Event, l.hooksText(), l.startedText())
	case Ended:
		return l.Summary.Text()
	}
	fmt.Fprintf(&b, "%s %-9s", l.Time.Local().Format("15:04:05.000"), l.Event)
	if l.Event == Lost {
		fmt.Fprintf(&b, "%s\n", lostText(l.Summary))
		return b.String()
	}
	fmt.Fprintf(&b, "%s: %s\n", l.whose(), strings.Join(l.facts(), ", "))
	for _, frame := range l.Stack {
		fmt.Fprintf(&b, "    %s\n", frame)
	}
	return b.String()
}

// whose names the owner and the file.
func (l Line) whose() string {
	owner := "somebody"
	if l.Owner != nil {
		owner = l.Owner.text()
	}
	file := "a file"
	switch {
	case l.Path != "":
		file = printable(l.Path)
	case l.Detached:
		file = "a file that let go of it"
	case l.Device != "" && l.Inode == 0:
		file = "block device " + l.Device
	case l.Device != "":
		file = fmt.Sprintf("inode %d on %s", l.Inode, l.Device)
	case l.Event == "refused":
		file = "memory"
	}
	if l.Filesystem != "" {
		file += " (" + printable(l.Filesystem) + ")"
	}
	return owner + ", " + file
}

func (p *Process) text() string {
	if p.PID == 0 { // the kernel's log does not say it
		return printable(p.Comm)
	}
	return fmt.Sprintf("%s[%d]", printable(p.Comm), p.PID)
}

// facts are what happened.
func (l Line) facts() (facts []string) {
	say := func(when bool, format string, args ...any) {
		if when {
			facts = append(facts, fmt.Sprintf(format, args...))
		}
	}
	pages := count(l.Pages, "page")
	switch l.Event {
	case "pinned":
		say(l.Pages > 0, "%s pinned", pages)
		say(l.Pages == 0, "%d bytes pinned", l.Bytes)
		say(l.SinceBefore, "before observe began")
	case "refused":
		say(true, "%d bytes at %s not pinned: %s", l.Bytes, l.Address, l.Error)
	case "stripped":
		say(true, "%s stripped of buffers while pinned", l.extent())
	case "dirtied":
		say(l.Bufferless, "%s dirtied without buffers: writeback will drop them, or the kernel die of it", l.extent())
		say(!l.Bufferless && l.Unannounced, "%s dirtied without the file system being told", l.extent())
		say(l.Detached, "%s dirtied that were no longer the file's: what was written is lost", l.extent())
	case "dropped":
		say(true, "%s dropped by writeback: what was written is not on disk", l.extent())
	case "released":
		say(l.Pages == 0, "released, nothing dirtied")
		say(l.Pages > 0, "released, %s dirtied", pages)
		say(l.BufferlessPages > 0, "%d without buffers", l.BufferlessPages)
		say(l.UnannouncedPages > 0, "%d unannounced", l.UnannouncedPages)
		say(l.DetachedPages > 0, "%d detached", l.DetachedPages)
		say(l.Why == "signal", "killed by %s", l.Signal)
		say(l.Why == "exit", "at exit")
		say(l.SinceBefore, "pinned before observe began")
	}
	say(l.Folios > 0 && l.Folios < l.Pages, "in %s", count(l.Folios, "folio"))
	say(l.Holder == "rdma" && l.RDMADevice != "", "rdma %s", printable(l.RDMADevice))
	if l.MRN != nil {
		say(true, "mrn %d", *l.MRN)
	}
	say(l.Holder != "" && l.RDMADevice == "", "%s", l.Holder)
	say(l.Actor != nil && (l.Owner == nil || l.Actor.PID != l.Owner.PID), "by %s", l.actorText())
	return facts
}

func (l Line) actorText() string {
	if l.Actor == nil {
		return ""
	}
	return l.Actor.text()
}

// extent says which pages.
func (l Line) extent() string {
	if l.FirstPage == nil {
		return count(l.Pages, "page")
	}
	if l.Pages == 1 {
		return fmt.Sprintf("page %d", *l.FirstPage)
	}
	return fmt.Sprintf("pages %d to %d", *l.FirstPage, *l.FirstPage+l.Pages-1)
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// hooksText says how much is watched.
func (l Line) hooksText() string {
	attached, awaiting := 0, 0
	for _, h := range l.Hooks {
		switch {
		case h.Symbol != "":
			attached++
		case h.Awaits != "":
			awaiting++
		}
	}
	return fmt.Sprintf("modules came or went: %d of %s are watched now", attached, count(uint64(len(l.Hooks)-awaiting), "place"))
}

// startedText says what is not seen, of what could be, and what will be.
func (l Line) startedText() string {
	var b strings.Builder
	var awaited []string
	for _, h := range l.Hooks {
		if h.Without != "" {
			fmt.Fprintf(&b, "not seen: %s\n", h.Without)
		}
		if h.Awaits != "" && !slices.Contains(awaited, h.Awaits) {
			awaited = append(awaited, h.Awaits)
		}
	}
	if len(awaited) > 0 {
		fmt.Fprintf(&b, "watched from when they are loaded: %s\n", strings.Join(awaited, ", "))
	}
	b.WriteString(pinnersText(l.PinnedBefore))
	return b.String()
}

// Text is the summary in a few lines.
func (s *Summary) Text() string {
	var b strings.Builder
	total := s.Total()
	fmt.Fprintf(&b, "summary   %.0f s: %s pinned, %d refused, %d released\n", s.Seconds, count(s.Pinned, "region"), s.Refused, s.Released)
	fmt.Fprintf(&b, "          %s stripped, %s dirtied without the file system being told, %d of them without buffers, %d detached; %s dropped\n",
		count(total.Stripped, "page"), count(total.Unannounced, "page"), total.Bufferless, total.Detached, count(total.Dropped, "folio"))
	for _, sum := range s.Sums {
		fmt.Fprintf(&b, "          %s on %s: stripped %d, unannounced %d, buffer-less %d, detached %d, dropped %d\n",
			orElse(sum.Holder, "unknown holder"), orElse(printable(sum.Filesystem), "a file that let go"),
			sum.Stripped, sum.Unannounced, sum.Bufferless, sum.Detached, sum.Dropped)
	}
	if s.Lost.Any() {
		fmt.Fprintf(&b, "lost      %s\n", lostText(s))
	}
	return b.String()
}

func lostText(s *Summary) string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		what string
	}{
		{s.Lost.Events, "events not delivered"}, {s.Lost.Pages, "pages not counted"}, {s.Lost.Releases, "releases not followed"},
		{s.Lost.Stacks, "stacks not kept"}, {s.Lost.Pins, "pins not recorded"}, {s.Lost.Strips, "strips or drops perhaps missed"},
		{s.Lost.Output, "events not told: nobody read them, or they could not be written"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// printable escapes what does not print as itself.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r == unicode.ReplacementChar || !strconv.IsPrint(r) }) {
		quoted := strconv.Quote(text)
		return quoted[1 : len(quoted)-1]
	}
	return text
}
