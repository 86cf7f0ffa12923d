package mail

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"umemstress/workload/internal/printable"
	"umemstress/workload/report"
)

// columns is how wide a mail is, but for what is quoted.
const columns = 75

// Text writes the mail. Whatever it shows is text, and nothing that a terminal obeys.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "To: %s\n", strings.Join(r.To, ", "))
	if len(r.Cc) > 0 {
		fmt.Fprintf(&b, "Cc: %s\n", strings.Join(r.Cc, ",\n "))
	}
	fmt.Fprintf(&b, "Subject: %s\n\n", r.Subject)
	for _, p := range r.Symptom {
		b.WriteString(wrapped("", "", p) + "\n")
	}
	r.steps(&b)
	r.commands(&b)
	table(&b, "What was seen", r.Seen)
	table(&b, "Kernel, machine and file", r.Facts)
	r.quotations(&b)
	r.commits(&b)
	list(&b, "What does not agree", r.Doubts)
	list(&b, "What is not known", r.Unknown)
	b.WriteString("-- \n" + wrapped("", "", r.signature()))
	_, err := io.WriteString(w, escaped(b.String()))
	return err
}

// escaped is the mail without anything that a terminal obeys: all of it was made so when it was
// taken, and this holds it to that.
func escaped(mail string) string {
	lines := strings.Split(mail, "\n")
	for i, line := range lines {
		lines[i] = printable.Text(line)
	}
	return strings.Join(lines, "\n")
}

func (r *Report) signature() string {
	what := "the evidence of a run"
	if r.Of == OfJournal {
		what = "the journal of an observer"
	}
	tool := "umemstress"
	if r.Tool != "" {
		tool += " " + r.Tool
	}
	return fmt.Sprintf("Written by %s from %s. It goes to the lists of these sections of MAINTAINERS (6.12; GUP is newer): %s.", tool, what, strings.Join(r.Sections, ", "))
}

func heading(b *strings.Builder, name string) {
	fmt.Fprintf(b, "%s\n%s\n\n", name, strings.Repeat("-", len(name)))
}

func (r *Report) steps(b *strings.Builder) {
	if len(r.Done) == 0 {
		return
	}
	name := "What was done"
	if r.Of == OfJournal {
		name = "What was observed (UTC)"
	}
	heading(b, name)
	for i, step := range r.Done {
		b.WriteString(wrapped(fmt.Sprintf("%2d. ", i+1), "    ", step))
	}
	b.WriteString("\n")
}

func (r *Report) commands(b *strings.Builder) {
	if len(r.Commands) == 0 {
		return
	}
	heading(b, "To see it again")
	for _, c := range r.Commands {
		b.WriteString(command(c.Line) + "\n" + wrapped("", "", c.About) + "\n")
	}
}

// command is a command line that can be copied, whatever its length.
func command(line string) string {
	const indent = "    "
	var b strings.Builder
	at := 0
	for i, word := range words(line) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			b.WriteString(indent)
			at = len(indent)
		case at+1+n+2 > columns:
			b.WriteString(" \\\n" + indent + "    ")
			at = 2 * len(indent)
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String() + "\n"
}

// words are those of a command line, each flag with its value.
func words(line string) (all []string) {
	for _, w := range strings.Fields(line) {
		last := len(all) - 1
		if last >= 0 && strings.HasPrefix(all[last], "--") && all[last] != "--" && !strings.Contains(all[last], " ") && !strings.HasPrefix(w, "-") {
			all[last] += " " + w
			continue
		}
		all = append(all, w)
	}
	return all
}

func table(b *strings.Builder, name string, facts []Fact) {
	if len(facts) == 0 {
		return
	}
	heading(b, name)
	const width = 14
	for _, f := range facts {
		b.WriteString(wrapped(fmt.Sprintf("%-*s ", width, f.Name), strings.Repeat(" ", width+1), f.Says))
	}
	b.WriteString("\n")
}

// stackTitles say of what a stack is.
var stackTitles = map[string]string{
	ofRelease: "Stack of the release",
	ofStrip:   "Stack in which the buffers were freed",
	ofDrop:    "Stack in which writeback dropped the pages",
	ofWait:    "Stack in which the call goes on waiting, 5 s after the release",
}

func (r *Report) quotations(b *strings.Builder) {
	for _, s := range r.Stacks {
		heading(b, stackTitles[s.Of])
		for _, frame := range s.Frames {
			b.WriteString("    " + frame + "\n")
		}
		if s.Cut {
			b.WriteString("    ...\n")
		}
		b.WriteString("\n")
	}
	titles := map[string]string{
		quotedDeath:    "The kernel's death (without user mode's registers; ",
		quotedWarning:  "The kernel's warning (without registers; ",
		quotedMessages: "The file system's messages (",
	}
	for _, q := range r.Quotes {
		heading(b, titles[q.Of]+q.File+")")
		for _, line := range q.Lines {
			b.WriteString(line + "\n")
		}
		if q.Cut {
			b.WriteString("...\n")
		}
		b.WriteString("\n")
	}
}

// commits are those that concern it, and those that closed other routes.
func (r *Report) commits(b *strings.Builder) {
	if len(r.Fixes) == 0 && r.Unfixed == "" {
		return
	}
	heading(b, "Commits near it")
	for _, f := range r.Fixes {
		b.WriteString(wrapped("* ", "  ", report.FixLine(f.FixState)+". With it, "+f.Does+"."))
	}
	if r.Unfixed != "" {
		b.WriteString(wrapped("* ", "  ", strings.ToUpper(r.Unfixed[:1])+r.Unfixed[1:]+"."))
	}
	b.WriteString("\n")
}

func list(b *strings.Builder, name string, lines []string) {
	if len(lines) == 0 {
		return
	}
	heading(b, name)
	for _, line := range lines {
		b.WriteString(wrapped("* ", "  ", line))
	}
	b.WriteString("\n")
}

// wrapped is a text of lines of at most so many columns, of which the first begins with first and
// the others with next. A word that is longer than a line is not broken.
func wrapped(first, next, text string) string {
	var b strings.Builder
	b.WriteString(first)
	at, empty := utf8.RuneCountInString(first), true
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if !empty && at+1+n > columns {
			b.WriteString("\n" + next)
			at, empty = utf8.RuneCountInString(next), true
		}
		if !empty {
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at, empty = at+n, false
	}
	return b.String() + "\n"
}
