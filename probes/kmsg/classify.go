package kmsg

import (
	"regexp"
	"strconv"
	"strings"
)

// What comes before a message: the time, in seconds or as dmesg writes it (-T, -d, -e), and who
// said it where the kernel is made to tell (CONFIG_PRINTK_CALLER), or the host where
// journalctl -o short-monotonic does; what a program had written on the console without ending
// its line may stand before that. Or the head of a line of syslog or of journalctl (-o short and
// its like), of dmesg --time-format iso, or the level, as on some consoles.
var before = regexp.MustCompile(`^.*?\[(?: *\+?[0-9]+\.[0-9]+|[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}|[A-Z][a-z]{2} ?[0-9]{1,2} [0-9:]{5})\](?:\[ *[TC][0-9]+\])? ?(?:[^ ]+ kernel: )?` +
	`|^(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}(?:\.[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+|[A-Z][a-z]{2} [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(?:\.[0-9]+)? [A-Z+0-9-]+|[0-9]+\.[0-9]{6}) [^ ]+ kernel: ` +
	`|^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8},[0-9]{6}[+-][0-9:]{5} ` +
	`|^<[0-9]+>`)

// rule says how lines of a kind begin. Named groups are fields of Line; text is what of the
// line the kernel's words are, where that is not all of it.
type rule struct {
	kind Kind
	is   *regexp.Regexp
}

// rules are tried one after the other. What is behind a message tells where kernels have it.
var rules = func() []rule {
	const (
		number   = `[0-9]+`
		function = `(?P<function>[A-Za-z_][^+\s]*)`
		source   = `(?P<file>[^\s:]+):(?P<number>` + number + `)`
		ext4     = `^(?P<filesystem>EXT4)-fs `
		ext4Head = ` \(device (?P<device>[^)]+)\): ` + function + `:` + number + `: (?:inode #(?P<inode>` + number + `): )?(?:block ` + number + `: )?(?:comm (?P<comm>.*?): )?`
		btrfs    = `^(?P<filesystem>BTRFS) `
		btrfsDev = ` \(device (?P<device>[^) ]+)[^)]*\)`
	)
	var all []rule
	add := func(kind Kind, is string) { all = append(all, rule{kind, regexp.MustCompile(is)}) }

	// kernel/panic.c, __warn; the second since 6.19 (28ea295f941e), the third until 3.10.
	add(Warning, `^WARNING: CPU: (?P<cpu>`+number+`) PID: (?P<pid>`+number+`) at (?:`+source+` )?`+function+`\+`)
	add(Warning, `^WARNING: (?:\[.*\] )?(?:`+source+` )?at `+function+`\+0x[^,]*, CPU#(?P<cpu>`+number+`): (?P<comm>.*)/(?P<pid>`+number+`)$`)
	add(Warning, `^WARNING: at `+source+` `+function+`\+`)
	// lib/bug.c, report_bug; the source is said where the kernel was built to know it.
	add(Bug, `^kernel BUG at (?:`+source+`)?.*`)
	// arch/x86/mm/fault.c, show_fault_oops; arch/arm64/mm/fault.c, die_kernel_fault.
	add(Fault, `^(?P<text>BUG: (?:kernel |unable to handle ).*|Unable to handle kernel .*)`)
	// kernel/watchdog.c, kernel/watchdog_perf.c (watchdog_hld.c), kernel/rcu/tree_stall.h.
	add(Lockup, `^(?:watchdog: )?(?P<text>BUG: soft lockup - CPU#(?P<cpu>`+number+`) stuck for .*?(?:\[(?P<comm>.*):(?P<pid>`+number+`)\])?)$`)
	add(Lockup, `^(?:NMI )?(?:watchdog: )?(?P<text>Watchdog detected hard LOCKUP on cpu (?P<cpu>`+number+`).*)`)
	add(Lockup, `^(?:rcu: )?(?P<text>INFO: rcu_[a-z_]+ (?:self-)?detected .*stall.*)`)
	add(Report, `^BUG: .*`)
	// arch/x86/kernel/dumpstack.c, __die_header; arch/arm64/kernel/traps.c, __die.
	add(Oops, `^.*: [0-9a-f]{4,16} \[#`+number+`\]`)
	add(Panic, `^Kernel panic - .*`)
	// kernel/hung_task.c, check_hung_task.
	add(Hung, `^INFO: task (?P<comm>.*):(?P<pid>`+number+`) (?:is )?blocked (?:for|in I/O wait for) more than .*`)
	// fs/ext4/inode.c, mpage_prepare_extent_to_map; fs/ext4/super.c, __ext4_warning_inode and its like.
	add(Bufferless, ext4+`warning`+ext4Head+`(?:page|folio) (?P<page>`+number+`) does not have buffers attached`)
	add(FSWarning, ext4+`warning`+ext4Head)
	add(FSError, ext4+`error`+ext4Head)
	// fs/btrfs/extent_io.c, extent_writepage; fs/btrfs/messages.c, with the file system's state in newer ones.
	add(Untold, btrfs+`[a-z]+`+btrfsDev+`: (?:.*ino (?P<inode>`+number+`) )?.*(?:folio|page) (?P<page>`+number+`) is marked dirty without notifying the fs`)
	add(FSWarning, btrfs+`warning`+btrfsDev)
	add(FSError, btrfs+`(?:error|critical|alert|emergency)`+btrfsDev)
	// lib/ratelimit.c, ___ratelimit.
	add(Suppressed, `^(?P<what>.*): (?P<count>`+number+`) callbacks suppressed$`)

	// lib/dump_stack.c, with UID since 6.11; the second until 3.10. Of which kernel stands behind
	// the flags, which have no digits, unless the line is cut.
	taint := ` (?:Not tainted|Tainted: )(?:[^0-9]*(?P<release>` + number + `\.` + number + `[^ ]*)(?: (?P<version>#.*?))? *$)?`
	add(Task, `^CPU: (?P<cpu>`+number+`) (?:UID: `+number+` )?PID: (?P<pid>`+number+`) Comm: (?P<comm>.*?)`+taint)
	add(Task, `^Pid: (?P<pid>`+number+`), comm: (?P<comm>.*?)`+taint)
	// init/version.c, linux_banner: the first line of a boot.
	add(Boot, `^Linux version (?P<release>`+number+`\.`+number+`[^ ]*)(?:.*? (?P<version>#[0-9].*))?`)
	// kernel/workqueue.c, print_worker_info.
	add(Work, `^Workqueue: (?P<what>.+)$`)
	// The code segment tells the kernel's from a program's; addresses until 4.10 (bb5e5ce545f2).
	add(Place, `^RIP: 0010:(?:\[<[0-9a-f]+>\] )*`+function+`\+`)
	// arch/arm64/kernel/process.c, __show_regs.
	add(Place, `^pc : `+function+`\+`)
	// A mailer may have taken the space away.
	add(Call, `^ *(?:\[<[0-9a-f]+>\] )?`+function+`\+0x[0-9a-f]+/0x[0-9a-f]+`)
	add(TraceEnd, `^(?: ?</TASK>|RIP: 0033:|Modules linked in:|Kernel Offset: |---\[ end (?:trace|Kernel panic))`)
	return all
}()

// Begins says whether a line begins as one of the kernel's log does, with a time or who said it.
// One that does not may be the rest of the line before, or of a log without any of that.
func Begins(line string) bool {
	if timed(line) {
		return true
	}
	return (strings.ContainsAny(line, "[<") || strings.Contains(line, " kernel: ") || line != "" && line[0] >= '0' && line[0] <= '9') && before.MatchString(line)
}

// timed says whether a line begins with the time as most do, which spares long logs the
// expression.
func timed(line string) bool {
	rest, ok := strings.CutPrefix(line, "[")
	if !ok {
		return false
	}
	rest = strings.TrimLeft(strings.TrimLeft(rest, " "), "0123456789")
	rest, ok = strings.CutPrefix(rest, ".")
	after := strings.TrimLeft(rest, "0123456789")
	return ok && len(after) < len(rest) && strings.HasPrefix(after, "]") && line[1] != '.' && !strings.HasPrefix(strings.TrimLeft(line[1:], " "), ".")
}

// Classify tells what a line of the kernel's log is about, as /dev/kmsg, a console, dmesg or
// syslog has it. Kind is empty for one that tells nothing of what is looked for.
func Classify(line string) Line {
	line = strings.TrimRight(line, "\r\n") // a console ends its lines with both
	line = line[len(before.FindString(line)):]
	for _, r := range rules {
		if found := r.is.FindStringSubmatch(line); found != nil {
			l := Line{Kind: r.kind, Text: strings.TrimSpace(line)}
			for i, name := range r.is.SubexpNames() {
				l.set(name, found[i])
			}
			return l
		}
	}
	return Line{Text: strings.TrimSpace(line)}
}

// set sets the field that is named so, if that was said.
func (l *Line) set(name, value string) {
	if value == "" {
		return
	}
	number, _ := strconv.ParseUint(value, 10, 64) // of what is digits by the expression; the most there is for more
	switch name {
	case "text":
		l.Text = value
	case "filesystem":
		l.Filesystem = value
	case "device":
		l.Device = value
	case "function":
		l.Function = value
	case "file":
		l.File = value
	case "number":
		l.Number = number
	case "cpu":
		l.CPU = value
	case "pid":
		l.PID = number
	case "comm":
		l.Comm = value
	case "inode":
		l.Inode = number
	case "page":
		l.Page = number
	case "what":
		l.What = value
	case "release":
		l.Release = value
	case "version":
		l.Version = strings.TrimSpace(value)
	case "count":
		l.Count = number
	}
}
