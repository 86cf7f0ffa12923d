package observing

import (
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"umemstress/probes"
	"umemstress/probes/privileges"
)

// probesNeed are the privileges that it takes to go on once the hooks are attached. What takes
// none, as uid 0: to close hooks, those of tracefs, too, to read the ring.
func (f *flags) probesNeed(session *probes.Session) []privileges.Need {
	needs := []privileges.Need{
		{Capability: cap.SYS_PTRACE, For: "to read what other users' programs have mapped"},
		{Capability: cap.SYS_NICE, For: "to read the kernel's tables without being preempted"},
		{Capability: cap.BPF, For: "to read the probes' tables, which this kernel asks for each time", Refused: session.ReadRefused},
	}
	if awaited := session.Awaits(); len(awaited) > 0 {
		late := "to watch modules that are not loaded yet: " + strings.Join(awaited, ", ")
		for _, v := range []cap.Value{cap.BPF, cap.PERFMON, cap.SYS_RESOURCE} {
			needs = append(needs, privileges.Need{Capability: v, For: late})
		}
		needs = append(needs, privileges.Need{Capability: cap.SYS_ADMIN, For: late, Refused: probes.AttachRefused})
	}
	if f.stack || f.journal != "" {
		needs = append(needs, privileges.Need{Capability: cap.SYSLOG, For: "to name the functions of stacks", Refused: session.SymbolsRefused})
	}
	return needs
}

// filesNeed are those that it takes to write the files that are open.
func (f *flags) filesNeed() (needs []privileges.Need) {
	var dirs []string
	for _, file := range []string{f.textfile, f.output.path} {
		if file != "" {
			dirs = append(dirs, filepath.Dir(file))
		}
	}
	if f.journal != "" {
		dirs = append(dirs, f.journal)
	}
	for _, dir := range dirs {
		needs = append(needs, privileges.Need{Capability: cap.DAC_OVERRIDE, For: "to make files in " + dir, Refused: func() error {
			return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		}})
	}
	return needs
}

// dropPrivileges gives up all but what the witness and the files need. Who cannot goes on with it.
func (f *flags) dropPrivileges(needs []privileges.Need) {
	kept, err := privileges.Keep(append(needs, f.filesNeed()...))
	if err != nil {
		logrus.Warnf("privileges that are no longer needed could not be given up: %v", err)
		return
	}
	for _, need := range kept {
		logrus.Debugf("kept %s, %s", strings.ToUpper(need.Capability.String()), need.For)
	}
	logrus.Debug("all other capabilities are given up")
}
