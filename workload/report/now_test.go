package report

import (
	"strings"
	"testing"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// The report of a run that went wrong ends with what to do about it, and no other does.
func TestWhatNow(t *testing.T) {
	kernel := func(r *record.Record, release, version string) { r.Kernel, r.Host.Version = release, version }
	large := record.FoliosChannel{State: record.StateOK, Pinned: []record.FolioSize{{Bytes: 2 << 20, Folios: 1}}, StrippedFolios: 1}
	for name, c := range map[string]struct {
		make      func(*record.Record)
		want, not string
	}{
		"rdma on 5.10": {func(r *record.Record) {
			r.Verdict, r.Scenario = record.DataLost, scenario.Scenario{Holder: "rdma", Filesystem: "ext4"}
			kernel(r, "5.10.0-46-amd64", "#1 SMP Debian 5.10.262-1 (2026-07-31)")
		}, "the kernel lacks it (it let such memory of ext4 be pinned)", "cc5095747edf"},
		"its death": {func(r *record.Record) {
			r.Verdict, r.Scenario = record.Crashed, scenario.Scenario{Holder: "rdma", Filesystem: "ext4"}
			r.Channels.Kmsg.Deaths = []record.Death{{Said: "kernel BUG at fs/ext4/inode.c:2662"}}
		}, "cc5095747edf", "panic_on_warn"},
		"its death of a warning": {func(r *record.Record) {
			r.Verdict, r.Scenario = record.Crashed, scenario.Scenario{Holder: "rdma", Filesystem: "ext4"}
			r.Channels.Console.Deaths = []record.Death{{Said: "WARNING: x; Kernel panic", Panicked: true}}
		}, "panic_on_warn", "Reboot the machine"},
		"a large folio": {func(r *record.Record) {
			r.Verdict, r.Scenario, r.Channels.Folios = record.DataLost, scenario.Scenario{Holder: "dio", Filesystem: "ext4"}, large
			kernel(r, "7.2.13+deb14-amd64", "")
		}, "no kernel that was looked at (7.2, 7.3)", "a7e689dd1c06"},
		"a hole": {func(r *record.Record) {
			r.Verdict, r.Scenario, r.Channels.Probes.DetachedPages = record.DataLost, scenario.Scenario{Holder: "dio", Filesystem: "tmpfs"}, 7
		}, "write it again from its source", "of tmpfs"},
		"a hole in a file of ext4": {func(r *record.Record) {
			r.Verdict, r.Scenario, r.Channels.Probes.DetachedPages = record.DataLost, scenario.Scenario{Holder: "dio", Filesystem: "ext4"}, 7
		}, "write it again from its source", "warning_count"},
		"a hole, of who marks nothing dirty": {func(r *record.Record) {
			r.Verdict, r.Scenario = record.DataLost, scenario.Scenario{Holder: "nfs", Filesystem: "xfs"}
			r.Facts = &scenario.Facts{Detaches: true, LeftClean: scenario.LeftCleanLarge}
			r.Channels.Cache = record.CacheChannel{State: record.StateOK, StalePages: 7}
		}, "write it again from its source", "while the page cache has it"},
		"pages that had their buffers": {func(r *record.Record) {
			r.Verdict, r.Scenario = record.DataLost, scenario.Scenario{Holder: "nfs", Filesystem: "ext4-journal"}
			r.Channels.Probes = record.ProbesChannel{State: record.StateOK, UnannouncedPages: 7}
		}, "Nothing warns of this", "warning_count: it rises"},
		"a clone": {func(r *record.Record) {
			r.Verdict, r.Scenario = record.Corrupted, scenario.Scenario{Holder: "dio", Filesystem: "xfs"}
		}, "cp --reflink=never", "warning_count"},
		"refused": {func(r *record.Record) { r.Verdict = record.Refused }, "", "what now"},
		"clean":   {func(r *record.Record) { r.Verdict = record.Clean }, "", "what now"},
		"unclear": {func(r *record.Record) { r.Verdict = record.Inconclusive }, "", "what now"},
	} {
		var r record.Record
		c.make(&r)
		var b strings.Builder
		if err := Text(&b, &r, "dir"); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), c.want) || strings.Contains(b.String(), c.not) || c.want != "" && !strings.Contains(b.String(), "\nwhat now ") {
			t.Errorf("%s: %s", name, b.String())
		}
	}
}
