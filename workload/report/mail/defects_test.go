package mail

import (
	"slices"
	"strings"
	"testing"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// wants makes a mail of a record, and looks for texts in it, however its lines are broken.
func wants(t *testing.T, r *record.Record, texts ...string) *Report {
	t.Helper()
	m, err := FromRun(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(written(t, m)), " ")
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("no %q in:\n%s", text, got)
		}
	}
	return m
}

// waits is a clean run on persistent memory, whose mutation nobody woke.
func waits(mutation string) *record.Record {
	r := lost()
	r.Verdict, r.Reason, r.Kernel = record.Clean, "all 256 pages on disk are what "+mutation+" leaves of the file", "6.1.0-56-amd64"
	r.Scenario = scenario.Scenario{Holder: "dio", Filesystem: "ext4-dax", Strip: "none", Mutation: mutation}
	r.Facts = &scenario.Facts{DAX: true}
	for i := range r.Phases {
		if p := &r.Phases[i]; p.Name == scenario.PhaseMutate {
			p.Outcome, p.Unwoken, p.UnwokenStack = record.OutcomeWaits, true, []string{"ext4_break_layouts+0x1/0x2 [ext4]"}
		}
	}
	return r
}

// That nobody wakes who waits is a mail, though no byte is lost, to those who let go of the pages.
func TestUnwoken(t *testing.T) {
	m := wants(t, waits("punch"),
		"[BUG] dax: nobody wakes fallocate(PUNCH_HOLE) when an O_DIRECT read lets go of its pages", "To: linux-block@vger.kernel.org", "nvdimm@lists.linux.dev", "linux-ext4@vger.kernel.org",
		"It does not return: it waits", "has not returned 5 s later", "Read each page back from the device.", "--pmem 256 -- \\ --scenario dio/ext4-dax/none/punch",
		"Stack in which the call goes on waiting, 5 s after the release", "ext4_break_layouts+0x1/0x2 [ext4]", "It came to 6.1 in 6.1.76")
	if m.Defect != OfUnwoken || m.Effect != "" || len(m.Fixes) > 0 || slices.ContainsFunc(m.Unknown, func(s string) bool { return strings.Contains(s, "has to be kept") }) {
		t.Errorf("%+v", m)
	}
	r := waits("reflink")
	r.Kernel, r.Scenario.Holder, r.Scenario.Filesystem = "6.12.1", "vmwritev", "xfs-dax"
	if m := wants(t, r, "[BUG] dax: nobody wakes ioctl(FICLONE) when process_vm_writev() lets go", "To: linux-fsdevel@vger.kernel.org, nvdimm@lists.linux.dev", "linux-xfs@vger.kernel.org"); m.Unfixed != "" {
		t.Errorf("it tells of 6.1: %s", m.Unfixed)
	}
	woken := waits("punch")
	for i := range woken.Phases {
		woken.Phases[i].Unwoken = false
	}
	if m, err := FromRun(woken, nil); err == nil {
		t.Errorf("who was woken is a mail: %+v", m)
	}
}

// That a device brings other bytes than were sent is a mail to those who drive it, and where the network may
// have dropped some it is none.
func TestArrivedWrong(t *testing.T) {
	at := int64(0)
	wrong := func() *record.Record {
		r := lost()
		r.Verdict, r.Device = record.Inconclusive, record.Device{Name: "rxe0", Driver: "rdma_rxe", Backend: "uverbs"}
		r.Scenario = scenario.Scenario{Holder: "rdma", Filesystem: "ext4", Strip: "none", Mutation: "none"}
		r.Settings.OnDemand, r.Settings.MessageBytes, r.Settings.Connection = true, 1024, "RC"
		r.Channels.Arrival = record.ArrivalChannel{State: record.StateOK, Looks: 2, CheckedPages: 512, CorruptPages: 512, CorruptBytes: 2096128, FirstCorrupt: &at, DisplacedPages: 508}
		return r
	}
	m := wants(t, wrong(), "[BUG] RDMA/rxe: RDMA WRITE into memory paged on demand brings wrong bytes", "To: linux-rdma@vger.kernel.org", "SOFT-ROCE DRIVER (rxe)",
		"an RDMA WRITE of 1024 bytes brings into a memory region that is paged on demand (IBV_ACCESS_ON_DEMAND) of rdma_rxe is not what was sent: 2096128 bytes are others, in 512 of the 512 pages that were looked at in 2 passes, the first at byte 0",
		"arrival 2096128 bytes in 512 of 512 pages are not what was sent", "Fill it by RDMA WRITEs from an anonymous region. They are of 1024 bytes.", "--size 1024 --odp",
		"Of these pages 508 begin with bytes that belong further on in the same page.", "That pages begin with what belongs further on is what 2fae67ab63db", "__rxe_odp_mr_copy()")
	if m.Defect != OfArrivedWrong || slices.Contains(m.Cc, "linux-ext4@vger.kernel.org") {
		t.Errorf("%+v", m)
	}
	other := wrong()
	other.Channels.Arrival.DisplacedPages = 0
	if m := wants(t, other, "into memory paged on demand brings wrong bytes"); m.Unfixed != "" || strings.Contains(strings.Join(m.Symptom, " "), "further on") {
		t.Errorf("of wrong bytes that nobody can explain: %s; %q", m.Unfixed, m.Symptom)
	}
	pinned := wrong()
	pinned.Settings.OnDemand, pinned.Device.Driver = false, "mlx5_core"
	if m := wants(t, pinned, "[BUG] mlx5_core: RDMA WRITE into memory brings wrong bytes", "INFINIBAND SUBSYSTEM"); m.Unfixed != "" {
		t.Errorf("it tells of rdma_rxe: %s", m.Unfixed)
	}
	for name, spoil := range map[string]func(*record.Record){
		"dropped": func(r *record.Record) { r.Settings.Connection = "UC" },
		"nothing": func(r *record.Record) { r.Channels.Arrival.CorruptBytes = 0 },
		"of NFS":  func(r *record.Record) { r.Scenario.Holder = "nfs" },
	} {
		r := wrong()
		spoil(r)
		if m, err := FromRun(r, nil); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}
