package triage_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"mime/quotedprintable"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"umemstress/workload/triage"
)

var stamp = regexp.MustCompile(`^\[ *([0-9]+)\.([0-9]+)\] ?(.*)$`)

// kernelLines are the lines of a log with the kernel's times, as a text without them.
func kernelLines(log string) (texts []string, micros []uint64) {
	for line := range strings.Lines(log) {
		if m := stamp.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			s, _ := strconv.ParseUint(m[1], 10, 64)
			us, _ := strconv.ParseUint(m[2], 10, 64)
			texts, micros = append(texts, m[3]), append(micros, s*1e6+us)
		}
	}
	return texts, micros
}

// each writes every message in a form.
func each(form func(text string, us uint64) string) func(string) string {
	return func(log string) string {
		var b strings.Builder
		texts, micros := kernelLines(log)
		for i, text := range texts {
			b.WriteString(form(text, micros[i]))
		}
		return b.String()
	}
}

// wrap breaks lines at a width, as mailers do between words and terminals anywhere.
func wrap(width int, words bool, quote string) func(string) string {
	return func(log string) string {
		var b strings.Builder
		for line := range strings.Lines(log) {
			line = strings.TrimRight(line, "\r\n")
			for len(line) > width {
				at, skip := width, 0
				if words {
					if at = strings.LastIndexByte(line[:width], ' '); at < width/2 {
						break
					}
					skip = 1
				}
				b.WriteString(quote + line[:at] + "\n")
				line = line[at+skip:]
			}
			b.WriteString(quote + line + "\n")
		}
		return b.String()
	}
}

func jsonOf(fields map[string]any) string {
	b, _ := json.Marshal(fields)
	return string(b) + "\n"
}

// forms are those in which logs are passed on.
var forms = map[string]func(string) string{
	"as it is":      func(log string) string { return log },
	"CRLF":          func(log string) string { return strings.ReplaceAll(log, "\n", "\r\n") },
	"CR CRLF":       func(log string) string { return strings.ReplaceAll(log, "\n", "\r\r\n") },
	"CR alone":      func(log string) string { return strings.ReplaceAll(log, "\n", "\r") },
	"colours":       func(log string) string { return strings.ReplaceAll(log, "[ ", "\x1b[32m[ \x1b[0m\x1b]0;title\x07") },
	"NULs":          func(log string) string { return strings.Repeat("\x00", 100_000) + log },
	"UTF-16":        func(log string) string { return "\xff\xfe" + strings.Join(strings.Split(log, ""), "\x00") },
	"without times": each(func(text string, _ uint64) string { return text + "\n" }),
	"raw":           each(func(text string, us uint64) string { return fmt.Sprintf("<4>[%5d.%06d] %s\n", us/1e6, us%1e6, text) }),
	"callers": each(func(text string, us uint64) string {
		return fmt.Sprintf("[%5d.%06d][  T152] %s\n", us/1e6, us%1e6, text)
	}),
	"decoded": each(func(text string, us uint64) string {
		return fmt.Sprintf("kern  :warn  : [%5d.%06d] %s\n", us/1e6, us%1e6, text)
	}),
	"human":      each(func(text string, us uint64) string { return fmt.Sprintf("[  +0.%06d] %s\n", us%1e6, text) }),
	"iso":        each(func(text string, _ uint64) string { return "2026-11-28T03:36:32,123456+00:00 " + text + "\n" }),
	"/dev/kmsg":  each(func(text string, us uint64) string { return fmt.Sprintf("4,17,%d,-;%s\n SUBSYSTEM=x\n", us, text) }),
	"netconsole": each(func(text string, us uint64) string { return fmt.Sprintf("4,17,%d,-,ncfrag=0/9;%s\n", us, text) }),
	"syslog": each(func(text string, us uint64) string {
		return fmt.Sprintf("Nov  8 03:36:32 host kernel: [%5d.%06d] %s\n", us/1e6, us%1e6, text)
	}),
	"journal, short":   each(func(text string, _ uint64) string { return "Nov 28 03:36:32 host kernel: " + text + "\n" }),
	"journal, precise": each(func(text string, _ uint64) string { return "Nov 28 03:36:32.123456 host kernel: " + text + "\n" }),
	"journal, full":    each(func(text string, _ uint64) string { return "Sat 2026-11-28 03:36:32 UTC host kernel: " + text + "\n" }),
	"journal, uptime": each(func(text string, us uint64) string {
		return fmt.Sprintf("[%5d.%06d] host kernel: %s\n", us/1e6, us%1e6, text)
	}),
	"journal, verbose": each(func(text string, _ uint64) string {
		return "Sat 2026-11-28 03:36:32.1 UTC [s=1;i=2]\n    _TRANSPORT=kernel\n    MESSAGE=" + text + "\n"
	}),
	"journal, json": each(func(text string, _ uint64) string {
		return jsonOf(map[string]any{"__CURSOR": "s=1", "_TRANSPORT": "kernel", "MESSAGE": text}) +
			jsonOf(map[string]any{"_TRANSPORT": "stdout", "SYSLOG_IDENTIFIER": "x", "MESSAGE": "kernel BUG at x.c:1!"})
	}),
	"journal, json with bytes": each(func(text string, _ uint64) string {
		numbers := []int{}
		for _, b := range []byte(text) {
			numbers = append(numbers, int(b))
		}
		return "data: " + jsonOf(map[string]any{"SYSLOG_IDENTIFIER": "kernel", "MESSAGE": numbers}) + "\n"
	}),
	"journal, json-pretty": each(func(text string, _ uint64) string {
		b, _ := json.Marshal(text)
		return "{\n\t\"_TRANSPORT\" : \"kernel\",\n\t\"MESSAGE\" : " + string(b) + ",\n\t\"PRIORITY\" : \"4\"\n}\n"
	}),
	"journal, export": each(func(text string, us uint64) string {
		return fmt.Sprintf("__CURSOR=s=1;i=2\n_TRANSPORT=kernel\nSYSLOG_IDENTIFIER=kernel\nMESSAGE=%s\n_SOURCE_MONOTONIC_TIMESTAMP=%d\n\n"+
			"__CURSOR=s=1;i=3\n_TRANSPORT=stdout\nMESSAGE=kernel BUG at x.c:1!\n\n", text, us)
	}),
	"journal, export with bytes": each(func(text string, _ uint64) string {
		size := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
		return "__CURSOR=s=1;i=2\nCOREDUMP\n\x03\x00\x00\x00\x00\x00\x00\x00\n\n\n\nMESSAGE\n" + string(size) + text + "\n_TRANSPORT=kernel\n\n"
	}),
	"quoted":              func(log string) string { return "> " + strings.ReplaceAll(log, "\n", "\n> ") },
	"quoted twice":        func(log string) string { return ">> " + strings.ReplaceAll(log, "\n", "\n> > ") },
	"wrapped":             wrap(72, true, ""),
	"wrapped narrowly":    wrap(48, true, ">> "),
	"wrapped, quoted":     wrap(70, true, "> "),
	"at a screen's width": wrap(80, false, ""),
	"without times, wrapped": func(log string) string {
		return wrap(72, true, "> ")(each(func(text string, _ uint64) string { return text + "\n" })(log))
	},
	"quoted-printable": func(log string) string {
		var b strings.Builder
		b.WriteString("From: a@b\nContent-Transfer-Encoding: Quoted-Printable\n\n")
		w := quotedprintable.NewWriter(&b)
		w.Write([]byte(log))
		w.Close()
		return b.String() + "\nContent-Transfer-Encoding: 8bit\n\nRAX: 00=\n"
	},
	"in a mail": func(log string) string { return "From: a@b\nSubject: it died\n\nHi,\n\n" + log + "\n--\nme\n" },
	"twice":     func(log string) string { return log + log },
}

// A log tells the same in whatever form it comes.
func TestForms(t *testing.T) {
	for name, log := range logs(t) {
		if strings.Contains(name, "3.10") { // was wrapped already, so that lines without times are parts
			continue
		}
		want := diagnosed(t, []byte(log))
		for form, made := range forms {
			got := diagnosed(t, []byte(made(string(log))))
			if got.Sure != want.Sure || got.Effect != want.Effect || got.Filesystem != want.Filesystem || kernelOf(got) != kernelOf(want) || holderOf(got) != holderOf(want) {
				t.Errorf("%s, %s: %s %s %s %q %s, want %s %s %s %q %s", name, form,
					got.Sure, got.Effect, got.Filesystem, kernelOf(got), holderOf(got), want.Sure, want.Effect, want.Filesystem, kernelOf(want), holderOf(want))
			}
		}
	}
}

// The report's own log came wrapped, and is read in any form that leaves it so.
func TestFormsOfTheReport(t *testing.T) {
	log := logs(t)["own-ext4-bug-3.10-vmcore-dmesg"]
	want := diagnosed(t, log)
	for _, form := range []string{"CRLF", "colours", "NULs", "quoted", "quoted twice", "wrapped, quoted", "in a mail", "twice", "raw", "callers", "journal, json", "journal, export"} {
		got := diagnosed(t, []byte(forms[form](string(log))))
		if got.Sure != want.Sure && kernelOf(got) != "" || got.Effect != want.Effect || got.Sure == triage.Other {
			t.Errorf("%s: %s %s %q", form, got.Sure, got.Effect, kernelOf(got))
		}
	}
}

func kernelOf(d *triage.Diagnosis) string {
	release, _, _ := strings.Cut(d.Kernel, " ")
	return release
}

func holderOf(d *triage.Diagnosis) string {
	if d.Holder == nil {
		return ""
	}
	return d.Holder.Name + " " + string(d.Holder.Sure)
}
