package mail

import (
	"strings"
	"testing"
	"time"

	"umemstress/workload/record"
)

func seenByObserver() Journal {
	at := time.Date(2026, 11, 28, 10, 1, 54, 0, time.UTC)
	event := func(e Sighting) Sighting {
		at = at.Add(time.Second)
		e.Time, e.Holder, e.Device, e.Inode, e.Filesystem, e.Path = at, "rdma", "7:0", 12, "ext4", "/data/pool"
		e.Owner, e.RDMADevice = Process{103, "app"}, "rxe0"
		return e
	}
	return Journal{
		Events: []Sighting{
			event(Sighting{Event: "pinned", Pages: 1024}),
			event(Sighting{Event: "stripped", Pages: 1024, Folios: 1024, Stack: []string{"try_to_free_buffers+0x5"}}),
			event(Sighting{Event: "dirtied", Pages: 1024, Folios: 1024, Bufferless: true, Unannounced: true, Stack: []string{"ib_umem_release+0x1"}}),
			event(Sighting{Event: "released", Pages: 1024, BufferlessPages: 1024, Stack: []string{"ib_umem_release+0x1"}, Why: "signal", Signal: "SIGTERM"}),
			{Event: "dirtied", Path: "/other", Unannounced: true, Holder: "rdma", Filesystem: "xfs"},
		},
		Sums: []Sum{{"rdma", "ext4", 2048, 2048, 2048, 2048, 0, 0}, {"rdma", "xfs", 0, 1, 0, 1, 0, 0}},
		Last: at,
	}
}

// flat is the mail in one line.
func flat(t *testing.T, m *Report) string {
	t.Helper()
	return strings.Join(strings.Fields(written(t, m)), " ")
}

// The file that fared worst is told of, with what became of it, and the rest is counted.
func TestJournal(t *testing.T) {
	j := seenByObserver()
	m, err := FromJournal(j, "1.0", nil)
	if err != nil || m.Effect != record.Reproduced || m.Subject != "[BUG] ext4: RDMA WRITE into mmap leaves dirty pages without buffers" {
		t.Fatalf("%+v, %v", m, err)
	}
	mail := flat(t, m)
	for _, want := range []string{
		"To: linux-ext4@vger.kernel.org ", "2048 pages of files on ext4, pinned by app[103] (RDMA WRITE on rxe0), were", " 4. 10:01:58.000 released: 1024 pages, 1024 without buffers, by signal, SIGTERM ",
		"The journal has no end", "Stack in which the buffers were freed ", "The kernel is not known", "1 file more", "--preset quick", "Written by umemstress 1.0",
	} {
		if !strings.Contains(mail, want) {
			t.Errorf("no %q in\n%s", want, mail)
		}
	}
	if strings.Contains(mail, "/data/pool") {
		t.Errorf("the mail tells a path of somebody's\n%s", mail)
	}
	// What writeback dropped is worse, and the kernel may be known.
	j.Events = append(j.Events, Sighting{Event: "dropped", Path: "/data/pool", Holder: "rdma", Filesystem: "ext4", Pages: 1, Actor: Process{81, "kworker/u2:2"}})
	j.Sums[0].Dropped, j.Ended = 2048, true
	j.Kernel, j.Host = "5.10.0-46-amd64", record.Host{Version: "#1 SMP Debian 5.10.262-1", Machine: "x86_64"}
	if m, err = FromJournal(j, "", nil); err != nil || m.Effect != record.DataLost {
		t.Fatalf("%+v, %v", m, err)
	}
	mail = flat(t, m)
	for _, want := range []string{"On 5.10.0-46-amd64: 2048 folios of files on ext4", "in kworker/u2:2[81]", " kernel 5.10.0-46-amd64, #1 SMP Debian"} {
		if !strings.Contains(mail, want) {
			t.Errorf("no %q in\n%s", want, mail)
		}
	}
	if strings.Contains(mail, "no end") || strings.Contains(mail, "not known: the journal") {
		t.Error(mail)
	}
}

// Sums are told of where no event of theirs is in the journal.
func TestJournalOfSums(t *testing.T) {
	m, err := FromJournal(Journal{Sums: []Sum{{Holder: "dio", Filesystem: "ext4", Bufferless: 7}}}, "", nil)
	if err != nil || !strings.Contains(m.Subject, "O_DIRECT read into mmap leaves dirty pages") || len(m.Commands) == 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	if mail := written(t, m); !strings.Contains(mail, "7 pages of files on ext4") || strings.Contains(mail, "What was observed") {
		t.Error(mail)
	}
}
