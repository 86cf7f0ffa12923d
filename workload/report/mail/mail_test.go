package mail

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// lost is a run that lost data on ext4.
func lost() *record.Record {
	r := &record.Record{
		Verdict: record.DataLost, Kernel: "7.2.13+deb14-amd64", Host: record.Host{Version: "#1 SMP Debian 7.2.13-1", Machine: "x86_64", CPUs: 1, PageSize: 4096},
		Scenario: scenario.Scenario{Holder: "dio", Filesystem: "ext4", Strip: "pageout", Mutation: "none", Folios: "large"},
		Device:   record.Device{Name: "dm-0", Driver: "dm-linear", Backend: "O_DIRECT read"},
		Regions:  []record.Region{{Kind: record.RegionFile, Bytes: 1 << 20, Pages: 256, Offset: partOffset}},
		File:     record.File{Scratch: true, Bytes: 4 << 20},
		Settled:  &record.Settled{Msync: "0", Fsync: "0"},
		Channels: record.NoChannels(),
		Settings: record.Settings{Seed: 1},
	}
	for _, name := range scenario.Phases() {
		r.Phases = append(r.Phases, record.Phase{Name: name, Outcome: record.OutcomeDone})
	}
	r.Channels.Disk = record.DiskChannel{State: record.StateOK, CheckedPages: 256, StalePages: 256, OldPages: 256}
	return r
}

func written(t *testing.T, m *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := m.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The mail goes to the lists of who keeps the file system and of who pins, each once.
func TestLists(t *testing.T) {
	for _, c := range []struct{ fs, holder, to, cc string }{
		{"ext4-journal", "dio", "linux-ext4@vger.kernel.org", "linux-block@vger.kernel.org linux-fsdevel@vger.kernel.org linux-mm@kvack.org linux-kernel@vger.kernel.org"},
		{"xfs", "rdma", "linux-xfs@vger.kernel.org", "linux-rdma@vger.kernel.org linux-fsdevel@vger.kernel.org linux-mm@kvack.org linux-kernel@vger.kernel.org"},
		{"btrfs", "vmwritev", "linux-btrfs@vger.kernel.org", "linux-fsdevel@vger.kernel.org linux-mm@kvack.org linux-kernel@vger.kernel.org"},
		{"block", "dio", "linux-block@vger.kernel.org", "linux-fsdevel@vger.kernel.org linux-mm@kvack.org linux-kernel@vger.kernel.org"},
		{"nfs", "vmwritev", "linux-nfs@vger.kernel.org", "linux-fsdevel@vger.kernel.org linux-mm@kvack.org linux-kernel@vger.kernel.org"},
		{"vfat", "somebody", "linux-fsdevel@vger.kernel.org", "linux-mm@kvack.org linux-kernel@vger.kernel.org"},
	} {
		var m Report
		m.address(sectionOf(c.fs), c.fs, c.holder)
		if to, cc := strings.Join(m.To, " "), strings.Join(m.Cc, " "); to != c.to || cc != c.cc {
			t.Errorf("%s, %s: to %s, cc %s", c.fs, c.holder, to, cc)
		}
	}
}

// What NFS lets go of without marking it dirty is for those to mend who keep NFS.
func TestLeftClean(t *testing.T) {
	r := lost()
	r.Scenario = scenario.Scenario{Holder: "nfs", Filesystem: "xfs", Strip: "none", Mutation: "none"}
	r.Facts = &scenario.Facts{LeftClean: scenario.LeftCleanLarge}
	r.Host.PageSize = 4096
	r.Channels.Probes = record.ProbesChannel{State: record.StateOK}
	r.Channels.Folios = record.FoliosChannel{State: record.StateOK, Pinned: []record.FolioSize{{Bytes: 1 << 20, Folios: 1, Pages: 256}}}
	m, err := FromRun(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(written(t, m)), " ")
	for _, want := range []string{
		"[BUG] nfs: O_DIRECT read from NFS into mmap lost, fsync returns 0", "To: linux-nfs@vger.kernel.org", "linux-xfs@vger.kernel.org",
		"At the release, 256 pages of 256, those in large folios, were not marked dirty at all (eBPF saw 0 pages marked)", "--scenario nfs/xfs/none/none",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	r.Scenario.Holder = "somebody" // of evidence of others
	if m, err := FromRun(r, nil); err != nil || !strings.Contains(m.Subject, "xfs: ") {
		t.Errorf("%+v, %v", m, err)
	}
}

// What the 9p client of older kernels never marks, it says of all pages, and of the transport that it pins over.
func TestUnmarked(t *testing.T) {
	r := lost()
	r.Scenario = scenario.Scenario{Holder: "9p", Filesystem: "ext4", Strip: "none", Mutation: "none"}
	r.Facts = &scenario.Facts{LeftClean: scenario.LeftCleanAll, DropsBufferless: true, Heals: true}
	r.Host.PageSize = 4096
	r.Channels.Probes = record.ProbesChannel{State: record.StateOK}
	m, err := FromRun(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(written(t, m)), " ")
	for _, want := range []string{
		"[BUG] 9p: O_DIRECT read from 9p into mmap lost, fsync returns 0", "v9fs@lists.linux.dev", "trans=virtio", "p9_virtio_zc_request() has let go",
		"At the release, none of 256 pages was marked dirty (eBPF saw 0 pages marked)", "80105ed2fd27",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "netfs_unbuffered") || strings.Contains(text, "trans=fd") {
		t.Errorf("it tells of netfs:\n%s", text)
	}
}

// A run whose bytes were read or received by the device says so, and how to have it again.
func TestVerbs(t *testing.T) {
	for verb, wants := range map[string][]string{
		"read": {"[BUG] ext4: RDMA READ into mmap lost", "Fill it by RDMA READs of an anonymous region.", "Send RDMA READs of new bytes.", "--verb read"},
		"send": {"[BUG] ext4: RDMA SEND into mmap lost", "Receive into it what is sent from an anonymous region.", "Receive new bytes into it.", "--verb send", "--connection UC", "--srq"},
	} {
		r := lost()
		r.Scenario.Holder, r.Device = "rdma", record.Device{Name: "rxe0", Driver: "rdma_rxe", Backend: "uverbs"}
		r.Settings.Verb, r.Settings.Connection = verb, map[string]string{"read": "RC", "send": "UC"}[verb]
		r.Settings.SRQ = verb == "send"
		m, err := FromRun(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		text := written(t, m)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
		if strings.Contains(text, "RDMA WRITE") {
			t.Errorf("%s: it tells of a write:\n%s", verb, text)
		}
	}
}

// What is not wrong is no mail.
func TestNothing(t *testing.T) {
	for _, v := range []record.Verdict{record.Clean, record.Refused, record.Inconclusive} {
		r := lost()
		r.Verdict = v
		m, err := FromRun(r, nil)
		var nothing *NothingError
		if m != nil || !errors.As(err, &nothing) || !nothing.Usage() || !strings.Contains(nothing.Why, "nothing to report") {
			t.Errorf("%s: %v, %v", v, m, err)
		}
	}
	_, err := FromJournal(Journal{Events: []Sighting{{Event: "pinned", Pages: 3}}}, "", nil)
	if err == nil {
		t.Error("a journal of a pin alone is a report")
	}
}

// Each verdict and each thing that may be in its way is said in the subject.
func TestSubjects(t *testing.T) {
	for want, change := range map[string]func(*record.Record){
		"[BUG] ext4: O_DIRECT read into mmap lost after MADV_PAGEOUT, fsync returns 0": func(*record.Record) {},
		"[BUG] xfs: process_vm_writev() into mmap lost after a write beside it, fsync returns 0": func(r *record.Record) {
			r.Scenario = scenario.Scenario{Holder: "vmwritev", Filesystem: "xfs", Strip: "none", Mutation: "write-beside"}
		},
		"[BUG] xfs: O_DIRECT read into mmap overwrites a reflink copy": func(r *record.Record) {
			r.Verdict, r.Scenario.Filesystem = record.Corrupted, "xfs"
		},
		"[BUG] btrfs: O_DIRECT read into mmap dirties pages behind the file system's back, fsync: EUCLEAN": func(r *record.Record) {
			r.Verdict, r.Scenario.Filesystem, r.Scenario.Strip, r.Settled.Fsync = record.Exposed, "btrfs", "none", "EUCLEAN"
		},
		"[BUG] ext4: kernel BUG at fs/ext4/inode.c:2662, in mpage_prepare_extent_to_map()": func(r *record.Record) {
			r.Verdict, r.Facts = record.Crashed, &scenario.Facts{Deadly: []string{"mpage_prepare_extent_to_map"}}
			r.Channels.Kmsg = record.KmsgChannel{State: record.StateOK, Oopses: 1, Deaths: []record.Death{{Kind: record.DiedOops, Said: "kernel BUG at fs/ext4/inode.c:2662", Comm: "umemstress", Place: "mpage_prepare_extent_to_map"}}}
		},
		"[BUG] ext4: WARNING at fs/ext4/inode.c:3707, and panic_on_warn, in ext4_set_page_dirty()": func(r *record.Record) {
			r.Verdict, r.Facts = record.Crashed, &scenario.Facts{Deadly: []string{"ext4_set_page_dirty"}}
			r.Channels.Console = record.ConsoleChannel{State: record.StateOK, Deaths: []record.Death{{Kind: record.DiedPanic, Comm: "umemstress", Place: "ext4_set_page_dirty", Panicked: true,
				Said: "WARNING: CPU: 0 PID: 104 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]; Kernel panic - not syncing: panic_on_warn set ..."}}}
		},
		"[BUG] ext4: somebody new into mmap lost after turn about, fsync returns 0": func(r *record.Record) {
			r.Scenario.Holder, r.Scenario.Strip = "somebody new", "turn about"
		},
	} {
		r := lost()
		change(r)
		m, err := FromRun(r, nil)
		if err != nil || m.Subject != want {
			t.Errorf("%+v, %v, want %s", m, err, want)
		}
	}
}

// A mail has lines of 75 columns, but for what is quoted, and all its parts.
func TestText(t *testing.T) {
	r := lost()
	r.Channels.Probes = record.ProbesChannel{State: record.StateOK, BufferlessPages: 512, UnannouncedPages: 512, DirtiedPages: 512, BufferlessFolios: 1, DirtiedFolios: 1,
		Stacks: map[int32][]string{3: {"try_to_free_buffers+0x5", "shrink_page_list+0x1"}, 7: {"folio_mark_dirty+0x9", strings.Repeat("x", 100) + "+0x1"}}}
	r.Channels.Folios = record.FoliosChannel{State: record.StateOK, Pinned: []record.FolioSize{{Bytes: 2 << 20, Folios: 1, Pages: 256}}, StrippedFolios: 1, StrippedPages: 256}
	r.Disagreements = []string{"warning_count rose by 3, and the probes counted 1 buffer-less folios"}
	m, err := FromRun(r, []Quote{{File: "kmsg.log", Of: quotedWarning, Lines: []string{strings.Repeat("w", 200)}, Cut: true}})
	if err != nil {
		t.Fatal(err)
	}
	mail := written(t, m)
	for line := range strings.Lines(mail) {
		line = strings.TrimSuffix(line, "\n")
		if utf8.RuneCountInString(line) > columns && !strings.Contains(line, "xxx") && !strings.Contains(line, "www") && !strings.HasPrefix(line, "Subject: ") {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
	for _, want := range []string{
		"To: linux-ext4@vger.kernel.org\n", "\n\nOn 7.2.13+deb14-amd64, with ext4, what an O_DIRECT read put into a shared\n",
		" 5. madvise(MADV_PAGEOUT) of the mapping.\n", "    umemstress lab run --kernel 7.2.13+deb14-amd64 -- \\\n        --scenario dio/ext4/pageout/none/large --file-size 1M \\\n        --anon-size 1M\n",
		"    folio_mark_dirty+0x9\n", "Stack in which the buffers were freed\n", "    try_to_free_buffers+0x5\n", "\n...\n", "warning_count rose by 3", "\n-- \n",
		"no kernel that was looked at", `a7e689dd1c06, 1ccf164ec866, "block: Convert`,
	} {
		if !strings.Contains(mail, want) {
			t.Errorf("no %q in\n%s", want, mail)
		}
	}
	if strings.Contains(mail, "was not recorded") {
		t.Errorf("the stack of the strip is there:\n%s", mail)
	}
	encoded, err := json.Marshal(m)
	if err != nil || !strings.Contains(string(encoded), `"schema":"umemstress.report/v1"`) {
		t.Errorf("%s, %v", encoded, err)
	}
}

// Who changed the very range that is lost is told so.
func TestOfRange(t *testing.T) {
	for mutation, want := range map[string]bool{"punch": true, "punch-beside": false, "none": false} {
		r := lost()
		r.Scenario.Mutation = mutation
		m, err := FromRun(r, nil)
		if err != nil || strings.Contains(flat(t, m), "The mapped range itself was changed ("+mutation+")") != want {
			t.Errorf("%s: %+v, %v", mutation, m, err)
		}
	}
}

// A run that the kernel did not survive says where it ended, and what nobody could look at.
func TestCrashed(t *testing.T) {
	r := lost()
	r.Verdict, r.Reason = record.Crashed, "the kernel died in a thread of this run: kernel BUG at x.c:1, in a ← b; 3 pages (seen by the probes)"
	r.Phases = r.Phases[:9]
	r.Phases[8].Outcome = record.OutcomeCrashed
	r.Channels.Disk = record.DiskChannel{State: record.StateAbsent}
	r.Kernel, r.Host.Version = "5.10.262-bug", "#1 SMP"
	r.Settings.Seconds, r.Settings.Bidirectional = 10, true
	r.Channels.Kmsg = record.KmsgChannel{State: record.StateOK, Deaths: []record.Death{{Said: "kernel BUG at fs/ext4/inode.c:1"}}}
	m, err := FromRun(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	mail := flat(t, m)
	for _, want := range []string{
		"the kernel died in a thread of the test program: kernel BUG at x.c:1, in a <- b; 3 pages (seen by eBPF).", " 8. msync(MS_SYNC), fsync(). Here: crashed. ",
		"What is on the disk was not read", "to the mapping. This goes on for 10 s, both ways, and through the next steps. 4. msync", "--duration 10 --bidirectional", "--kernel DIR -- ", "--allow-crash", "umemstress lab run --kernel 5.10-unfixed", "cc5095747edf",
	} {
		if !strings.Contains(mail, want) {
			t.Errorf("no %q in\n%s", want, mail)
		}
	}
}
