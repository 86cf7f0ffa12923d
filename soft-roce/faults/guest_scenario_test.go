//go:build guest

package faults

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload/record"
)

// spread has every holder, and of the other parts all that leave traces of a kind of their
// own. The first are for a short campaign: a cgroup, a suspended device, huge pages, a clone.
var spread = []string{
	"rdma/ext4/memcg/none",
	"dio/ext4/pageout/none",
	"rdma/hugetlbfs/none/none",
	"vmwritev/xfs/none/reflink",
	"dio/ext4-1k/pageout/none",

	"dio/ext4/pressure/none", // with a hog that fills the memory, so that it wants a small guest
	"rdma/ext4/pageout/none",
	"rdma/xfs/none/punch",
	"rdma/ext4-journal/pageout/none",
	"rdma/ext4/drop-caches/none",
	"rdma/tmpfs/none/none",
	"dio/btrfs/none/none",
	"dio/block/none/zero-range",
	"dio/ext2/pageout/none",
	"dio/ext4/none/odirect-write",
	"vmwritev/tmpfs/none/none",
	"vmwritev/vfat/pageout/none",
	"vmwritev/xfs/none/punch",
	"vmwritev/ext4/memcg/none",
	"vmwritev/btrfs/none/reflink",
	"vmci/ext4/pageout/none", // with modules that it loads
	"nfs/ext4/pageout/none",  // and a server of its own
	"aio/ext4/pageout/none",
	"uring/ext4/pageout/none",
	"fuse/ext4/pageout/none", // the server in another process
	"v4l2/ext4/pageout/none",
	"xdp/ext4/pageout/none",           // a network namespace, and objects of BPF
	"rdma/ext4-dm-crypt/pageout/none", // a device below the file system
}

// A campaign with few of each signal has the first scenarios alone.
const few, shortSpread = 5, 5

// target is a scenario with what is known of it on this kernel.
type target struct {
	scenario string
	verdict  record.Verdict
	phases   []phase       // of an undisturbed run, the first its start
	length   time.Duration // of that run; 0: not measured
}

// targets are the scenarios of a campaign. What this kernel is known to do to them stands in
// the matrix.
func targets(t *testing.T, n int) []*target {
	t.Helper()
	expectations, err := matrix.Expected()
	if err != nil {
		t.Fatal(err)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(name.Release[:])
	known := map[string]record.Verdict{}
	for _, e := range expectations {
		if strings.HasPrefix(release, e.Kernel+".") {
			known[e.Scenario] = record.Verdict(e.Verdict)
		}
	}
	var found []*target
	for _, s := range spread[:n] {
		if known[s] == "" {
			t.Fatalf("nothing is expected of %s on %s", s, release)
		}
		found = append(found, &target{scenario: s, verdict: known[s]})
	}
	return found
}

// command is a small run of the scenario, which leaves its evidence in dir.
func (g *target) command(t *testing.T, dir string) []string {
	return []string{program(t), "run", "-v", "--scenario", g.scenario, "--file-size", "2M", "--anon-size", "2M",
		"--observe", "require", "-o", filepath.Join(dir, "evidence")}
}

// verdictHeld says whether the run ended in the verdict that is known of its scenario.
func (g *target) verdictHeld(p *process) bool {
	return p.killedBy() == 0 && p.code() == g.verdict.ExitCode() &&
		strings.Contains(p.stdout.String(), strings.ToUpper(string(g.verdict)))
}

// undisturbed runs the scenario to its end, which is to be the verdict that it is known for,
// and measures it.
func (g *target) undisturbed(t *testing.T) {
	t.Helper()
	p := start(t, nil, g.command(t, t.TempDir())...)
	if !p.ended(patience) {
		t.Fatalf("%s, undisturbed: not at its end after %s: %s", g.scenario, patience, p)
	}
	g.length, g.phases = time.Since(p.started), append([]phase{{name: starting}}, p.stderr.phases...)
	if !g.verdictHeld(p) {
		t.Errorf("%s, undisturbed: it is known to end in %s: %s", g.scenario, g.verdict, p)
	}
}

// choose chooses a moment of the run, in any phase as often as in another, however long they
// are: the phase, and how long after its begin.
func (g *target) choose(random *rand.Rand) (phase string, after time.Duration) {
	i := random.IntN(len(g.phases))
	end := g.length
	if i+1 < len(g.phases) {
		end = g.phases[i+1].after
	}
	return g.phases[i].name, time.Duration(random.Float64() * float64(end-g.phases[i].after))
}
